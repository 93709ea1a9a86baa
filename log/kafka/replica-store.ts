import type { Entry } from '../../events/entries.ts';
import type { Link } from '../chain.ts';
import type { Checkpoint, InputPosition, Ledger, StoredEntry } from '../port.ts';

/** The records that a replica writes, and the local ledger that stores them. */

/** The local ledger that a replica writes: a SQLite file in production, and a ledger in memory in simulations. */
export interface ReplicaStore extends Pick<Ledger, 'claim' | 'head' | 'read' | 'close'> {
  /** Returns the entry with this sequence; null if there is none. */
  entryAt(sequence: number): StoredEntry | null;
}

/** The records of a transaction that the owner has committed. */
export type CommittedRecords = {
  readonly links: readonly Link[];
  /** The entries of the links. */
  readonly entries: readonly Entry[];
  readonly inputPositions: readonly InputPosition[];
  readonly checkpoints: readonly Checkpoint[];
  /** The offset of the last record in the topic; null if it is unknown. */
  readonly offset: number | null;
};
