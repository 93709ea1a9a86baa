import type { Attempt } from '../events/attempt.ts';
import { type Decided, decideAll, revise } from './decided.ts';
import { policies as allPolicies } from './registry.ts';
import { type Closed, Replay, type Stored } from './replay.ts';
import { count, newTally, type Tally } from './tally.ts';
import type { KnownEndings } from './truth.ts';
import type { Policy } from './view.ts';

/**
 * Decides every attempt of a ledger again by the rules of other systems, and counts the right decisions. A backtest
 * writes nothing, and no decision affects a later attempt.
 */

export type Backtest = {
  /** The counts of each policy over failed calls whose truth is known. */
  readonly policies: readonly Tally[];
  /**
   * The counts over successful calls, for the policies that also decide after a success. These attempts are not listed.
   */
  readonly onSuccess: readonly Tally[];
  /** All failed calls that returned, in the order of settlement; open attempts come last. */
  readonly attempts: readonly Decided[];
};

const NO_TRUTHS: KnownEndings = new Map();

/**
 * @param witnessed has the true endings from outside the ledger; without an ending, Landfall's own proven verdict is
 * the truth.
 */
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

/** Returns false if source and destination are the same host, because then no host was asked. */
const isComparable = ({ source, destination }: Attempt) => source !== destination;
