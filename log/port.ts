import type { Entry } from '../events/entries.ts';
import type { Fault } from '../events/fault.ts';

/**
 * The ledger port: a few partitions, each one sequence of entries, each entry chained to the one before it.
 *
 * What every adapter guarantees (test/contracts/ledger.ts holds each to it):
 * 1. A commit is atomic: its entries, input positions and checkpoints are all there, or none is.
 * 2. Sequences are dense, from 1, in the order of the commits.
 * 3. `hash` = SHA-256 over the previous hash and the entry's text; the first entry follows `GENESIS`.
 * 4. Only the newest owner of a partition commits to it: an older one gets LEDGER_FENCED.
 * 5. A commit that failed with LEDGER_OUTCOME_UNKNOWN may or may not have happened. The owner is then dead; whoever claims the
 *    partition next learns the outcome from its tail, never by committing again.
 * 6. Readers see committed entries only, and never block the writer.
 *
 * The port offers what a Kafka transaction can do: one send to one partition, plus the positions of the consumed inputs. A
 * batch may carry no input position (timers), or input positions without entries (duplicates).
 */

/** The hash that the first entry of a partition follows. */
export const GENESIS = '0'.repeat(64);

/** Where an entry stands. To the outside it is an opaque string (`formatPosition`). */
export type Position = { readonly partition: number; readonly sequence: number };

/** The last entry of a partition: `sequence` 0 and `GENESIS` where it is empty. */
export type Head = { readonly sequence: number; readonly hash: string };

export type StoredEntry = {
  readonly partition: number;
  readonly sequence: number;
  readonly previous: string;
  readonly hash: string;
  /** The JSON text that was hashed. */
  readonly text: string;
  readonly entry: Entry;
};

/** How far an input stream was consumed: `offset` is the last offset taken. */
export type InputPosition = { readonly stream: string; readonly offset: number };

/** A named number that is committed together with entries, for example how far the relay has sent them. */
export type Checkpoint = { readonly key: string; readonly value: number };

/** The input positions (stream to offset) and the checkpoints (key to value) of one partition. */
export type Progress = {
  readonly inputPositions: ReadonlyMap<string, number>;
  readonly checkpoints: ReadonlyMap<string, number>;
};

/** `source` + `id` of an input: its idempotency key. */
export type Identity = { readonly source: string; readonly id: string };

export type Batch = {
  readonly entries: readonly Entry[];
  readonly inputPositions: readonly InputPosition[];
  readonly checkpoints?: readonly Checkpoint[];
  /** The entries' texts where they exist already: what was hashed elsewhere is kept to the letter. */
  readonly texts?: readonly string[];
};

/** The right to write one partition, until somebody else claims it. */
export interface Owner extends Progress {
  readonly partition: number;
  /** The head as it was found, after every predecessor was fenced and its last transaction was settled. */
  readonly claimedHead: Head;
  /** The input positions as of the claim. */
  readonly inputPositions: ReadonlyMap<string, number>;
  /** The checkpoints as of the claim. */
  readonly checkpoints: ReadonlyMap<string, number>;
  /**
   * Appends one batch. Commits are applied in the order they are called; several may be under way at once, and an adapter may
   * join those that wait into one transaction (group commit).
   * @returns the head after this batch.
   * @throws Fault LEDGER_FENCED, LEDGER_FULL (disk full), LEDGER_OUTCOME_UNKNOWN, LEDGER_FAILED. After any of them the owner
   * is dead, nothing that followed in its queue was committed, and the partition must be claimed anew.
   */
  commit(batch: Batch): Promise<Head>;
  /** The digests of those inputs that were consumed within the horizon, in the order asked; null where one was not. */
  recall(identities: readonly Identity[]): (string | null)[];
  /** Gives the partition up after the commits under way. */
  release(): Promise<void>;
}

export interface Ledger {
  readonly partitions: number;
  /**
   * @param lost called once where it is learnt that a newer owner has the partition, also while nothing is committed.
   * @throws Fault LEDGER_BUSY where another process holds it and cannot be fenced; LEDGER_ALTERED where the tail is not whole.
   */
  claim(partition: number, lost?: (fault: Fault) => void): Promise<Owner>;
  head(partition: number): Promise<Head>;
  /** Committed entries from `from` on, in order, until the head as it was when the reading began. Unverified: see `verify`. */
  read(partition: number, from: number): AsyncIterable<StoredEntry>;
  close(): Promise<void>;
}

/** A position as the outside sees it. Over several partitions the parts are joined by commas. */
export function formatPosition({ partition, sequence }: Position): string {
  return `${partition}:${sequence}`;
}
