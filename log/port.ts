import type { Entry } from '../events/entries.ts';
import type { Fault } from '../events/fault.ts';

/**
 * The ledger port: a ledger has one or more partitions; each partition is a sequence of entries in a hash chain.
 *
 * Every adapter guarantees (tested by test/contracts/ledger.ts):
 * 1. A commit is atomic: its entries, input positions and checkpoints are all there, or none is.
 * 2. Sequences start at 1 and are dense, in the order of the commits.
 * 3. `hash` = SHA-256 over the previous hash and the entry's text; the first entry follows `GENESIS`.
 * 4. Only the newest owner of a partition can commit to it; older owners get LEDGER_FENCED.
 * 5. A commit that failed with LEDGER_OUTCOME_UNKNOWN may or may not have happened. That owner is dead. The
 *    next claim of the partition reads the outcome from the tail; the batch must not be committed again.
 * 6. Readers see committed entries only, and never block the writer.
 *
 * The port offers what a Kafka transaction can do: one send to one partition, plus the positions of the consumed inputs. A
 * batch may carry no input position (timers), or input positions without entries (duplicates).
 */

/** The hash that the first entry of a partition follows. */
export const GENESIS = '0'.repeat(64);

/** The position of an entry. Clients see an opaque string (`formatPosition`). */
export type Position = { readonly partition: number; readonly sequence: number };

/** The last entry of a partition; `sequence` 0 and hash `GENESIS` if the partition is empty. */
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

/** The idempotency key of an input. */
export type Identity = { readonly source: string; readonly id: string };

export type Batch = {
  readonly entries: readonly Entry[];
  readonly inputPositions: readonly InputPosition[];
  readonly checkpoints?: readonly Checkpoint[];
  /** The texts of the entries if they were hashed before, for example in the topic; they are stored unchanged. */
  readonly texts?: readonly string[];
};

/** The right to write one partition, until the next claim of the partition. */
export interface Owner extends Progress {
  readonly partition: number;
  /** The head at the claim, after earlier owners were fenced and their last transactions were settled. */
  readonly claimedHead: Head;
  /** The input positions as of the claim. */
  readonly inputPositions: ReadonlyMap<string, number>;
  /** The checkpoints as of the claim. */
  readonly checkpoints: ReadonlyMap<string, number>;
  /**
   * Appends one batch. Commits are applied in the order of the calls. Several commits may be pending at once, and an adapter
   * may join pending commits into one transaction (group commit).
   * @returns the head after this batch.
   * @throws Fault LEDGER_FENCED, LEDGER_FULL (disk full), LEDGER_OUTCOME_UNKNOWN, LEDGER_FAILED. After any of these the
   * owner is dead, its later batches were not committed, and the partition must be claimed again.
   */
  commit(batch: Batch): Promise<Head>;
  /** Returns the digest of each input consumed within the horizon, and null for each other input. */
  recall(identities: readonly Identity[]): (string | null)[];
  /** Releases the partition after its pending commits. */
  release(): Promise<void>;
}

export interface Ledger {
  readonly partitions: number;
  /**
   * @param lost is called once if a newer owner has claimed the partition.
   * @throws Fault LEDGER_BUSY if another process has the partition and cannot be fenced; LEDGER_ALTERED if the tail is damaged.
   */
  claim(partition: number, lost?: (fault: Fault) => void): Promise<Owner>;
  head(partition: number): Promise<Head>;
  /** Yields the committed entries from the sequence `from` to the head at the time of the call. They are not verified. */
  read(partition: number, from: number): AsyncIterable<StoredEntry>;
  close(): Promise<void>;
}

/** Formats a position as clients see it. Positions over several partitions are joined by commas. */
export function formatPosition({ partition, sequence }: Position): string {
  return `${partition}:${sequence}`;
}
