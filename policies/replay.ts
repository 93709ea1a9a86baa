import type { Attempt } from '../events/attempt.ts';
import type { Entry } from '../events/entries.ts';
import { type Answers, answerIn, recordAnswer, recordTimeout, migrationOf, answerAt } from './answers.ts';
import type { Recorded, View } from './view.ts';

/**
 * Reads a ledger and returns each attempt when it is settled, with its evidence for the policies. Only open attempts
 * are kept in memory.
 */

export type Closed = { readonly attempt: Attempt; readonly world: View };
/**
 * The result of one entry. `revised` means that a settled attempt got a new verdict; decisions of other policies stay.
 */
export type Replayed =
  | { readonly kind: 'closed'; readonly closed: Closed }
  | { readonly kind: 'revised'; readonly attempt: Attempt };

type Open = { attempt: Attempt; readonly answers: Answers };
/** The field of a stored entry that a replay needs. */
export type Stored = { readonly entry: Entry };

export class Replay {
  readonly #open = new Map<string, Open>();

  get openCount(): number {
    return this.#open.size;
  }

  take(entry: Entry): Replayed | null {
    const attempt = entry.attempt?.attempt;
    if (attempt !== undefined) this.#track(attempt);
    this.#recordReply(entry);
    if (attempt === undefined) return null;
    const open = this.#open.get(attempt.migration);
    if (open === undefined) return entry.verdict === null ? null : { kind: 'revised', attempt };
    if (attempt.settledAt === null) return null;
    this.#open.delete(attempt.migration);
    return { kind: 'closed', closed: close(open) };
  }

  /** Returns the open attempts whose call has returned. */
  remaining(): Closed[] {
    const open = [...this.#open.values()].filter(({ attempt }) => attempt.returnedAt !== null);
    this.#open.clear();
    return open.map(close);
  }

  /** Tracks an attempt from its first entry. A later start would miss answers. */
  #track(attempt: Attempt): void {
    const open = this.#open.get(attempt.migration);
    if (open !== undefined) open.attempt = attempt;
    else if (isBeginning(attempt)) this.#open.set(attempt.migration, { attempt, answers: new Map() });
  }

  #recordReply(entry: Entry): void {
    const answer = answerIn(entry);
    const migration = answer === null ? entry.attempt?.attempt.migration : migrationOf(answer.question);
    const open = migration === undefined ? undefined : this.#open.get(migration);
    if (open === undefined) return;
    if (answer !== null) recordAnswer(open.answers, open.attempt, answer, entry.time);
    else if (entry.cause.kind === 'timer') recordTimeout(open.answers, open.attempt, entry.time);
  }
}

const isBeginning = ({ returnedAt, verdicts }: Attempt) => returnedAt === null && verdicts.length === 0;

function close({ attempt, answers }: Open): Closed {
  const world: View = {
    source: attempt.source,
    destination: attempt.destination,
    others: attempt.knownHosts,
    callError: attempt.callError,
    origin: attempt.origin,
    ask: (host, afterMs) => answerAt(answers, host, afterMs),
    recorded: recordedIn(attempt),
  };
  return { attempt, world };
}

/** Returns Landfall's newest verdict that was not given by an operator. */
export function recordedIn({ verdicts, returnedAt }: Attempt): Recorded | null {
  const verdict = verdicts.findLast(({ resolution }) => resolution === null);
  if (verdict === undefined) return null;
  const { host, outcome, contested, decidedAt } = verdict;
  return { host, outcome, contested, at: decidedAt - (returnedAt ?? decidedAt) };
}
