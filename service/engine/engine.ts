import { toInput } from '../../events/cloud-event.ts';
import type { LoopObserver } from '../../engine/partition-loop.ts';
import type { Taken } from '../../engine/partition/partition.ts';
import type { Entry } from '../../events/entries.ts';
import { Fault } from '../../events/fault.ts';
import type { Input } from '../../events/inputs.ts';
import { sha256 } from '../../log/chain.ts';
import type { Reads } from '../reads/parts.ts';
import type { WorkQueue } from '../../producers/work-queue.ts';

/**
 * What decides behind the HTTP routes: a partition of this process alone, or this instance's share of a topic's partitions
 * (embedded.ts, cluster.ts). What it hands out comes from committed entries only.
 */
export interface Engine {
  /** What reads are answered from. They see committed entries only, and never wait for a commit. */
  readonly parts: Reads;
  readonly workQueue: WorkQueue;
  /** Why nothing can be taken just now; null: it can. */
  readonly fault: Fault | null;
  /** The last position that can be read, of every partition. */
  readonly position: string;
  /** How old what is read may be, in milliseconds. */
  readonly ageMs: number;
  /** Inputs that wait for their commit. */
  readonly waiting: number;
  /** @throws Fault where it cannot begin. */
  start(): Promise<void>;
  /** Whether a body of so many bytes could be taken just now, beside what waits already. */
  hasRoom(bytes: number): boolean;
  /**
   * Takes inputs; resolves once they are durable, and as a rule decided.
   * @throws Fault NOT_READY, OVERLOADED, STOPPING, LEDGER_…: some may be durable, and sending them again changes nothing.
   */
  submit(submissions: readonly Submission[], how?: Submitting): Promise<Receipt[]>;
  /** Resolves with whether what is read has reached this position, at the latest after so long. */
  reached(position: string, ms: number): Promise<boolean>;
  /** Takes nothing more; returns once what was taken is durable and all is closed. */
  stop(): Promise<void>;
}

/** An input, and the CloudEvent that it came in. */
export type Submission = { readonly input: Input; readonly event: unknown };

export type Submitting = {
  /** Another than the wall clock for what belongs to a recording. */
  readonly clock?: string | undefined;
  /** How large the body was that they came in. */
  readonly bytes?: number;
};

/** What became of an input. `pending`: it is durable, and will be decided. */
export type Receipt = {
  readonly outcome: Taken['outcome'] | 'pending';
  readonly refusal: { readonly code: string; readonly message: string; readonly remedy: string } | null;
  /** Of its first entry, in every partition that it concerns; null: it left none, or none yet. */
  readonly position: string | null;
  /** Where it stands among the inputs while it is pending. */
  readonly input?: string;
};

export type EngineObserver = LoopObserver & {
  /** Entries can be read; `isOwn`: this instance decided them. */
  entries?: (entries: readonly Entry[], isOwn: boolean) => void;
  /** What is known of the ledger was read anew. */
  claimed?: () => void;
};

/** @throws Fault BAD_EVENT, UNKNOWN_TYPE, BAD_SUBJECT. */
export function submissionOf(event: unknown): Submission {
  return { input: toInput(event, sha256), event };
}

export function notReady(why: string, cause?: unknown): Fault {
  return new Fault('NOT_READY', `nothing can be taken just now (${why})`, 'Send it again when /readyz says so.', cause);
}

export const stopping = (): Fault => new Fault('STOPPING', 'the service is stopping', 'Send it again when it is back.');
export const overloaded = (): Fault =>
  new Fault('OVERLOADED', 'more inputs wait for their commit than are allowed', 'Send fewer at once, and try again.');
