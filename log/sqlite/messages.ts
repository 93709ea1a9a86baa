import type { Checkpoint, Head, InputPosition, Progress } from '../port.ts';
import type { PlainFault } from './faults.ts';
import type { Horizon } from './identity-rows.ts';
import type { Columns } from './rows.ts';

/** What the main thread and the writer's thread say to each other. */

/**
 * `full`: a commit is on disk when it is answered. `relaxed`: after a crash of the machine the last commits may be missing,
 * never torn; for a copy whose original is elsewhere.
 */
export type Durability = 'full' | 'relaxed';

export type WriterOptions = {
  readonly file: string;
  /** URLs of modules that keep tables of their own up to date in the same transactions. */
  readonly followers: readonly string[];
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
  /** What each text says for the columns beside it. */
  readonly columns: readonly Columns[];
  /** What each follower extracted of the entries. */
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

export type WriterRequest =
  | CommitRequest
  | VerifyRequest
  | { readonly kind: 'claim'; readonly id: number; readonly owner: number }
  | { readonly kind: 'horizon'; readonly id: number; readonly horizon: Horizon }
  | { readonly kind: 'close'; readonly id: number };

export type WriterAnswer = {
  /** Of the request; 0 for the opening itself. */
  readonly id: number;
  readonly head: Head;
  /** The answer to a claim carries the input positions and checkpoints of the file; other answers carry null. */
  readonly progress: Progress | null;
  readonly fault: PlainFault | null;
};

export type WriterReply = {
  readonly answers: readonly WriterAnswer[];
  /** Identities of entries up to this sequence have left the horizon. */
  readonly forgottenThrough: number | null;
};
