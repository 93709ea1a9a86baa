import type { Checkpoint, Head, InputPosition, Progress } from '../port.ts';
import type { PlainFault } from './faults.ts';
import type { Horizon } from './identity-rows.ts';
import type { Columns } from './rows.ts';

/** The messages between the main thread and the writer thread. */

/**
 * `full`: a commit is on disk when it is answered. `relaxed`: a crash of the machine may lose the last commits, but never tears
 * one; a replica can use it because the topic holds the original.
 */
export type Durability = 'full' | 'relaxed';

export type WriterOptions = {
  readonly file: string;
  /** The partition to record in the file; absent: the partition that the file already records, or 0. */
  readonly partition?: number;
  /** URLs of the modules of the inline projections. */
  readonly projections: readonly string[];
  /** Leaves the projections as they are until `rebuild` messages replace them. */
  readonly forRebuild?: boolean;
  readonly machineVersion: string;
  readonly horizon: Horizon;
  readonly verifyOnOpen: boolean;
  readonly durability: Durability;
  readonly movingTo?: string;
};

export type CommitRequest = {
  readonly kind: 'commit';
  readonly id: number;
  readonly owner: number;
  readonly texts: readonly string[];
  /** The search columns of each text. */
  readonly columns: readonly Columns[];
  /** The extract of each inline projection. */
  readonly extracts: readonly unknown[];
  /** The keys of the consumed inputs (`recordsOf`). */
  readonly identities: Uint8Array;
  readonly inputPositions: readonly InputPosition[];
  readonly checkpoints: readonly Checkpoint[];
};

export type VerifyRequest = {
  readonly kind: 'verify';
  readonly id: number;
  readonly after: Head;
  readonly through: number;
};

/** One step of a rebuild of the projections: `begin`, then any number of `apply`, then `commit` or `rollback`. */
export type RebuildStep =
  | { readonly step: 'begin' }
  | { readonly step: 'apply'; readonly extract: unknown }
  | { readonly step: 'commit' }
  | { readonly step: 'rollback' };

export type WriterRequest =
  | CommitRequest
  | VerifyRequest
  | { readonly kind: 'rebuild'; readonly id: number; readonly rebuild: RebuildStep }
  | { readonly kind: 'claim'; readonly id: number; readonly owner: number }
  | { readonly kind: 'horizon'; readonly id: number; readonly horizon: Horizon }
  | { readonly kind: 'mark-moved'; readonly id: number; readonly to: string }
  | { readonly kind: 'close'; readonly id: number };

export type WriterAnswer = {
  /** The id of the request; 0 for the opening of the file. */
  readonly id: number;
  readonly head: Head;
  /** The answer to a claim carries the input positions and checkpoints of the file; other answers carry null. */
  readonly progress: Progress | null;
  readonly fault: PlainFault | null;
};

export type WriterReply = {
  readonly answers: readonly WriterAnswer[];
  /** The last sequence whose identities left the horizon; null if none did. */
  readonly forgottenThrough: number | null;
};
