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
 * The command side behind the HTTP routes: one partition in this process (embedded.ts), or the partitions of a Kafka topic that
 * the group assigned to this instance (cluster.ts). Reads and outgoing work come from committed entries only.
 */
export interface Engine {
  /** The read connections, which see committed entries only and never wait for a commit. */
  readonly parts: Reads;
  readonly workQueue: WorkQueue;
  /** Why the engine accepts no inputs; null while it accepts them. */
  readonly fault: Fault | null;
  /** The last readable position of every partition. */
  readonly position: string;
  /** The greatest age of reads, in milliseconds. */
  readonly ageMs: number;
  /** The number of inputs that are not durable yet. */
  readonly waiting: number;
  /** @throws Fault if the engine cannot start. */
  start(): Promise<void>;
  /** Returns whether a request body of this size fits beside the pending inputs. */
  hasRoom(bytes: number): boolean;
  /**
   * Accepts inputs. Resolves when they are durable and, except for pending ones, decided.
   * @throws Fault NOT_READY, OVERLOADED, STOPPING, LEDGER_…. Some inputs may be durable; sending them again changes nothing.
   */
  submit(submissions: readonly Submission[], how?: Submitting): Promise<Receipt[]>;
  /** Resolves to true when reads include this position, and to false after `ms` milliseconds. */
  reached(position: string, ms: number): Promise<boolean>;
  /** Stops accepting inputs. Resolves when the accepted inputs are durable and all resources are closed. */
  stop(): Promise<void>;
}

/** An input and its CloudEvent. */
export type Submission = { readonly input: Input; readonly event: unknown };

export type Submitting = {
  /** The world the inputs belong to. Default: `wall`, the live site; a recording has a clock of its own. */
  readonly clock?: string | undefined;
  /** The size of their request body in bytes. */
  readonly bytes?: number;
};

/** The result of a submitted input. `pending`: the input is durable and not decided yet. */
export type Receipt = {
  readonly outcome: Taken['outcome'] | 'pending';
  readonly refusal: { readonly code: string; readonly message: string; readonly remedy: string } | null;
  /** The position of its first entry in every partition it was sent to; null if the input has no entry, or none yet. */
  readonly position: string | null;
  /** The stream and offset of a pending input. */
  readonly input?: string;
};

export type EngineObserver = LoopObserver & {
  /** Called when entries became readable. `isOwn` is true if this instance decided them. */
  entries?: (entries: readonly Entry[], isOwn: boolean) => void;
  /** Called when a claim has loaded the state of the ledger. */
  claimed?: () => void;
};

/** @throws Fault BAD_EVENT, UNKNOWN_TYPE, BAD_SUBJECT. */
export function submissionOf(event: unknown): Submission {
  return { input: toInput(event, sha256), event };
}

export function notReady(why: string, cause?: unknown): Fault {
  return new Fault(
    'NOT_READY',
    `the service accepts no inputs now (${why})`,
    'Send the input again when /readyz returns 200.',
    cause,
  );
}

export const stopping = (): Fault =>
  new Fault('STOPPING', 'the service is stopping', 'Send the input again after the restart.');
export const overloaded = (): Fault =>
  new Fault('OVERLOADED', 'too many inputs are pending', 'Send fewer inputs at once, then try again.');
