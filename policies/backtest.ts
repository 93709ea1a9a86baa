import type { Attempt } from '../events/attempt.ts';
import { type Decided, decideAll, revise } from './decided.ts';
import { policies as allPolicies } from './registry.ts';
import { type Closed, Replay, type Stored } from './replay.ts';
import { count, newTally, type Tally } from './tally.ts';
import type { KnownEndings } from './truth.ts';
import type { Policy } from './view.ts';

/**
 * Decides every attempt of a ledger again by other systems' rules, on the evidence the ledger holds, and counts who would have
 * been right. It writes nothing and carries no decision forward: each rule meets each attempt as it really went.
 */

export type Backtest = {
  /** Over the failed calls whose truth is known. */
  readonly policies: readonly Tally[];
  /** The policies that decide something after a successful call, over those, as first settled. They are counted, not listed. */
  readonly onSuccess: readonly Tally[];
  /** Every failed call that returned, in the order the ledger settled them; what is still open comes last. */
  readonly attempts: readonly Decided[];
};

const NO_TRUTHS: KnownEndings = new Map();

/** @param witnessed where guests really were, as somebody outside the ledger saw it; without it Landfall's own proven verdicts are the truth. */
export async function backtest(
  entries: AsyncIterable<Stored> | Iterable<Stored>,
  witnessed: KnownEndings = NO_TRUTHS,
  chosen: readonly Policy[] = allPolicies,
): Promise<Backtest> {
  const replay = new Replay();
  const asking = chosen.filter((policy) => policy.asksOnSuccess === true);
  const failed = new Map<string, Decided>();
  let onSuccess = asking.map(newTally);
  const close = (closed: Closed) => {
    if (!isComparable(closed.attempt)) return;
    if (closed.attempt.callError === null) onSuccess = countAll(onSuccess, decideAll(closed, asking, witnessed));
    else failed.set(closed.attempt.migration, decideAll(closed, chosen, witnessed));
  };
  for await (const { entry } of entries) {
    const replayed = replay.take(entry);
    if (replayed?.kind === 'closed') close(replayed.closed);
    const before = replayed?.kind === 'revised' ? failed.get(replayed.attempt.migration) : undefined;
    if (replayed?.kind === 'revised' && before !== undefined)
      failed.set(before.migration, revise(before, replayed.attempt, witnessed));
  }
  for (const closed of replay.remaining()) close(closed);
  const attempts = [...failed.values()];
  return { policies: attempts.reduce(countAll, chosen.map(newTally)), onSuccess, attempts };
}

const countAll = (tallies: readonly Tally[], decided: Decided): Tally[] =>
  tallies.map((tally) => count(tally, decided));

/** Where source and destination are one host nobody was asked, and no rule has anything to go by. */
const isComparable = ({ source, destination }: Attempt) => source !== destination;
