import { z } from 'zod';
import { AttemptConfiguration } from './configuration.ts';
import { CallError, Domain } from './inputs.ts';
import { Host, MigrationId, Milliseconds, Power, Volume } from './vocabulary.ts';
import { Verdict } from './verdict.ts';

/**
 * The state of one migration attempt, as every ledger entry that touches it records it. It is the context of the XState
 * machine plus its state value: plain JSON, complete, so that a rebuild assigns it and steps nothing.
 */

/** An answer as it is kept: what the host said, and where it stands in the attempt's own order of asking and hearing. */
export const Answer = z.strictObject({
  /** Sequence of the question it answers. */
  asked: z.number().int(),
  /** Sequence at which it arrived. */
  arrived: z.number().int(),
  ok: z.boolean(),
  error: z.string().optional(),
  domain: Domain.nullable(),
  strayProcess: z.boolean().optional(),
  boot: z.string().optional(),
  /** No answer came within the question's limit. */
  timedOut: z.boolean().optional(),
});
export type Answer = z.infer<typeof Answer>;

export const Asked = z.strictObject({
  /** Sequence of the newest question put to this host; 0: never asked. */
  asked: z.number().int(),
  /** When the oldest unanswered question runs out; null: none is open. */
  dueAt: Milliseconds.nullable(),
  answer: Answer.nullable(),
});
export type Asked = z.infer<typeof Asked>;

/** What was seen of the destination's shell in this attempt, from which `ran` follows. */
const Shell = z.strictObject({
  /** The destination's event stream was connected since the attempt began. */
  unbroken: z.boolean(),
  boot: z.string().nullable(),
  started: z.boolean(),
  resumed: z.boolean(),
  stopped: z.boolean(),
  /** The guest was heard landed there, or leaving from there: whatever stopped afterwards was no mere shell. */
  arrived: z.boolean(),
  /** Its CPUs are known to have run. Once true, it stays so. */
  ran: z.boolean(),
});

const stepKinds = [
  'post-migrate',
  'after-migrate',
  'failed-to-migrate',
  'fail-call',
  'ask-origin',
  'destroy-leftover',
  'release-lock',
  'acquire-lock',
  'resume-guest',
] as const;
export const StepKind = z.enum(stepKinds);
export type StepKind = z.infer<typeof StepKind>;

/** One thing that follows from a verdict, done once its `after` are done. */
export const Step = z.strictObject({
  /** Id of its command: attempt, verdict number, kind and volume; the same each time it is sent. */
  command: z.string(),
  kind: StepKind,
  host: Host.nullable(),
  volume: z.string().nullable(),
  after: z.array(z.string()),
  /** `waiting` for its predecessors, `sent` and unacknowledged, `refused` and to be sent again, `done`, or `observed`: not sent. */
  status: z.enum(['waiting', 'sent', 'refused', 'done', 'observed', 'dropped']),
  tries: z.number().int(),
  error: z.string().nullable(),
});
export type Step = z.infer<typeof Step>;

export const Alarm = z.strictObject({ code: z.string(), text: z.string(), at: Milliseconds });
export type Alarm = z.infer<typeof Alarm>;

export const Attempt = z.strictObject({
  migration: MigrationId,
  vm: z.string(),
  clock: z.string(),
  source: Host,
  destination: Host,
  flags: z.array(z.string()),
  effects: z.enum(['drive', 'observe']),
  origin: z.enum(['running', 'paused', 'stopped', 'unknown']),
  leavePaused: z.boolean(),
  storageCopied: z.boolean(),
  volumes: z.array(Volume),
  /**
   * Hosts besides the source that may hold a lock of the VM from before: what earlier attempts left unsettled, whoever was
   * seen holding one, and hosts that told of the guest while the attempt was open.
   */
  formerOwners: z.array(Host),
  /** The boot of the source when the migration began; null: not known. */
  sourceBoot: z.string().nullable(),
  /** Known hosts of the VM’s cluster besides source and destination: as of the newest round that a deadline or a doubt began. */
  knownHosts: z.array(Host),
  startedAt: Milliseconds,
  /** When the call returned, failed or not; null while it runs. */
  returnedAt: Milliseconds.nullable(),
  /** Null: the call succeeded, or still runs. */
  callError: CallError.nullable(),
  /** Fixed when the call returns. */
  configuration: AttemptConfiguration,
  /** Counts questions asked and answers heard, in one sequence. */
  sequence: z.number().int(),
  /** `sequence` when the call returned: a question with a lower one was asked too early to count. */
  returnedSequence: z.number().int().nullable(),
  /** `sequence` when the newest verdict was made; later doubts need later answers. */
  judgedSequence: z.number().int().nullable(),
  /** Who was asked, by host. */
  asked: z.record(z.string(), Asked),
  /** The source was heard to have the guest in this attempt. */
  seenAtSource: z.boolean(),
  /**
   * An earlier attempt of the VM from the same source was still open when this one began: an outgoing job may be that one's.
   * Absent: none was.
   */
  sharesSource: z.boolean().optional(),
  /**
   * And the source, as far as was heard, holds only what that one left paused there: the guest itself may have gone on, and
   * ended, where that one led. Absent: not so.
   */
  leftover: z.boolean().optional(),
  outgoingSeen: z.boolean(),
  handedOver: z.boolean(),
  shell: Shell,
  /** `sequence` at which the destination was first heard to have the guest landed; null: not, or no longer. */
  landedSequence: z.number().int().nullable(),
  /**
   * The source was heard to run after, or without a job beside, a destination that had landed: there may have been two copies
   * of the guest, and a source that is found empty may have sent its own to a third host. Absent: it was not.
   */
  twoCopies: z.boolean().optional(),
  /** When a round first found the source quiet and the destination without the guest; null: not so. */
  quietSince: Milliseconds.nullable(),
  quietRounds: z.boolean(),
  /** The last closed round was of the row `nowhere`: every known host is asked. */
  searching: z.boolean(),
  /** `sequence` at which a whole round had found every host empty; absent: it did not, or somebody has been found since. */
  emptySequence: z.number().int().optional(),
  /** The row that the last closed round waits by, and the host the record names meanwhile; null before the first, and once decided. */
  waiting: z.strictObject({ row: z.string(), host: Host }).nullable(),
  /** `sequence` when a round was last counted; null: none was. */
  countedSequence: z.number().int().nullable(),
  /** Rounds closed since the call returned. */
  rounds: z.number().int(),
  pollAt: Milliseconds.nullable(),
  deadlineAt: Milliseconds.nullable(),
  retryAt: Milliseconds.nullable(),
  verdicts: z.array(Verdict),
  steps: z.array(Step),
  /** What the origin said when it was asked once more after a configured error code. */
  originPower: Power.nullable(),
  alarms: z.array(Alarm),
  fenced: z.boolean(),
  expiredLeases: z.array(z.string()),
  supersededBy: MigrationId.nullable(),
  /** Where the guest was found after its verdict, moved on by a migration that nobody reported; null: nowhere else. */
  movedTo: Host.nullable(),
  settledAt: Milliseconds.nullable(),
});
export type Attempt = z.infer<typeof Attempt>;

/** The machine's state value: a top-level state, or one of its substates. */
export const StateValue = z.union([z.string(), z.record(z.string(), z.string())]);
export type StateValue = z.infer<typeof StateValue>;

export const AttemptState = z.strictObject({
  value: StateValue,
  attempt: Attempt,
  /** Counts the timers that were ever set, so that a late one is recognised. */
  generation: z.number().int().nonnegative(),
});
export type AttemptState = z.infer<typeof AttemptState>;
