import { z } from 'zod';
import { AttemptConfiguration } from './configuration.ts';
import { CallError, Domain } from './inputs.ts';
import { Host, MigrationId, Milliseconds, Power, Volume } from './vocabulary.ts';
import { Verdict } from './verdict.ts';

/**
 * The state of one migration attempt, as every ledger entry that touches it records it. It is the context of the XState
 * machine plus its state value: plain JSON, complete, so that a rebuild assigns it and steps nothing.
 */

/** A host's answer as the attempt keeps it, with the sequence numbers of its question and of its arrival. */
export const Answer = z.strictObject({
  /** Sequence of the answered question. */
  asked: z.number().int(),
  /** Sequence of the arrival of the answer. */
  arrived: z.number().int(),
  ok: z.boolean(),
  error: z.string().optional(),
  /** State and reason as the host reported them, if the vocabulary lacks one of them; `ok` is then false. */
  unknownWords: z.string().optional(),
  domain: Domain.nullable(),
  strayProcess: z.boolean().optional(),
  leases: z.array(z.string()).optional(),
  boot: z.string().optional(),
  /** True if no answer arrived within the question's limit. */
  timedOut: z.boolean().optional(),
});
export type Answer = z.infer<typeof Answer>;

export const Asked = z.strictObject({
  /** Sequence of the newest question to this host; 0 if the host was never asked. */
  asked: z.number().int(),
  /** When the oldest unanswered question becomes unknown; null if no question is open. */
  dueAt: Milliseconds.nullable(),
  answer: Answer.nullable(),
});
export type Asked = z.infer<typeof Asked>;

/** The history of the destination's shell in this attempt. The evidence `ran` is derived from it. */
const Shell = z.strictObject({
  /** True while the destination's event stream has been connected since the attempt began. */
  unbroken: z.boolean(),
  boot: z.string().nullable(),
  started: z.boolean(),
  resumed: z.boolean(),
  stopped: z.boolean(),
  /**
   * True once an answer or event has shown the guest on the destination or leaving it. A later stop is then not the end
   * of a mere shell.
   */
  arrived: z.boolean(),
  /** The question whose answer first showed the guest paused for its migration without a job; absent if none did. */
  stillSince: z.number().int().optional(),
  /** The destination's CPUs are known to have run. The value never returns to false. */
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

/** One effect of a verdict. Its command is sent once the steps in `after` are done. */
export const Step = z.strictObject({
  /** Id of the step's command: attempt, verdict number, kind, volume and host. A retry keeps the id. */
  command: z.string(),
  kind: StepKind,
  host: Host.nullable(),
  volume: z.string().nullable(),
  after: z.array(z.string()),
  /**
   * `waiting` for its predecessors, `sent` and unacknowledged, `refused` and sent again later, `done`, `observed` (the attempt
   * sends no commands), or `dropped` (a newer attempt or a moved guest made the step obsolete).
   */
  status: z.enum(['waiting', 'sent', 'refused', 'done', 'observed', 'dropped']),
  tries: z.number().int(),
  error: z.string().nullable(),
  /** Why the step is done although its host did not acknowledge it, such as `the host is fenced`; absent otherwise. */
  ended: z.string().optional(),
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
  /** The VM's volumes on the destination of a migration that copies storage; absent if its start did not name them. */
  destinationVolumes: z.array(Volume).optional(),
  /**
   * Hosts besides the source that may hold a lock of the VM: hosts of unsettled earlier attempts, observed holders, and hosts
   * that reported the guest while the attempt was open.
   */
  formerOwners: z.array(Host),
  /** The source's boot id when the migration began; null if unknown. */
  sourceBoot: z.string().nullable(),
  /** Known hosts of the VM’s cluster besides source and destination, as of the last round that a timer or a doubt began. */
  knownHosts: z.array(Host),
  startedAt: Milliseconds,
  /** When the call returned, failed or not; null while it runs. */
  returnedAt: Milliseconds.nullable(),
  /** Null if the call succeeded or is still running. */
  callError: CallError.nullable(),
  /** The site's settings at the moment when the call returned. */
  configuration: AttemptConfiguration,
  /** Counts questions and answers in one sequence. */
  sequence: z.number().int(),
  /** `sequence` when the call returned. Answers to questions with a lower sequence do not count (invariant 1). */
  returnedSequence: z.number().int().nullable(),
  /** `sequence` when the newest verdict was made. A doubt about that verdict needs answers to later questions. */
  judgedSequence: z.number().int().nullable(),
  /** Questions and answers by host. */
  asked: z.record(z.string(), Asked),
  /** True if an answer has shown the guest on the source during this attempt. */
  seenAtSource: z.boolean(),
  /**
   * True if an earlier attempt of the VM from the same source was open when this attempt began. An outgoing job may then
   * belong to the earlier attempt.
   */
  sharesSource: z.boolean().optional(),
  /**
   * True if the source may hold only the paused leftover of that earlier attempt. The guest itself may have moved to the earlier
   * attempt's destination and ended there.
   */
  leftover: z.boolean().optional(),
  outgoingSeen: z.boolean(),
  handedOver: z.boolean(),
  /**
   * How the guest ended on the source in this attempt (it shut itself down, or it was destroyed or crashed), and `sequence` when
   * that became known; absent if it did not end there.
   */
  sourceEnd: z.strictObject({ how: z.enum(['shut-down', 'ended']), sequence: z.number().int() }).optional(),
  shell: Shell,
  /** `sequence` of the answer that first showed the guest landed on the destination; null if it is not landed there. */
  landedSequence: z.number().int().nullable(),
  /**
   * True if the guest may exist twice: the source still ran after the guest had landed on the destination. If the source is
   * empty later, its copy may have moved to a third host.
   */
  twoCopies: z.boolean().optional(),
  /**
   * Time of the first round that found the source without a job and the destination without the guest; null if none did.
   */
  quietSince: Milliseconds.nullable(),
  quietRounds: z.boolean(),
  /** True if rounds ask every known host, because a row needed their answers. */
  searching: z.boolean(),
  /** Third hosts that showed the guest, even if their cluster is another one; absent if none did. */
  seenOn: z.array(Host).optional(),
  /** `sequence` after a whole round found every host empty; absent if no round did, or a later round found the guest. */
  emptySequence: z.number().int().optional(),
  /**
   * The row that made the last closed round wait, and the host recorded meanwhile. Null before the first round and
   * after the decision.
   */
  waiting: z.strictObject({ row: z.string(), host: Host }).nullable(),
  /** `sequence` when a round was last counted; null if no round was counted. */
  countedSequence: z.number().int().nullable(),
  /** Rounds closed since the call returned. */
  rounds: z.number().int(),
  /** When the `recheck` timer is due: the hosts are asked again. */
  pollAt: Milliseconds.nullable(),
  deadlineAt: Milliseconds.nullable(),
  retryAt: Milliseconds.nullable(),
  verdicts: z.array(Verdict),
  steps: z.array(Step),
  /** The source's power in its answer to the `ask-origin` step; null if the step was not needed or is unanswered. */
  originPower: Power.nullable(),
  alarms: z.array(Alarm),
  /** The source is fenced. */
  fenced: z.boolean(),
  /** The fenced hosts, each with `sequence` at its fencing; absent if no host was fenced. */
  fencedHosts: z.record(z.string(), z.number().int()).optional(),
  expiredLeases: z.array(z.string()),
  /**
   * The exclusive holders of each volume whose lease the hypervisor moves, as its lock manager reported them last; absent if it
   * reported none.
   */
  leases: z.record(z.string(), z.array(Host)).optional(),
  /**
   * A lease contradicts the decision that the answers would lead to: the number of rounds with this result, and the time of the
   * last counted one. Absent if no lease does.
   */
  leaseDoubt: z
    .strictObject({
      finding: z.enum(['disagrees', 'missing']),
      rounds: z.number().int().positive(),
      countedAt: Milliseconds,
    })
    .optional(),
  /**
   * A resolution that waits for a new answer of its host: `asked` is the sequence of the question. `lack` is the answer that
   * refused the resolution. Absent if no resolution waits and the last one was not refused so.
   */
  resolving: z
    .strictObject({
      host: Host,
      reason: z.string(),
      attest: z.boolean(),
      operator: z.string(),
      asked: z.number().int(),
      lack: z.string().optional(),
    })
    .optional(),
  supersededBy: MigrationId.nullable(),
  /** The host where the guest was found after an unreported migration that followed the verdict; null if there was none. */
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
  /** The number of timers set so far. A fired timer with an older generation than the current one is late and ignored. */
  generation: z.number().int().nonnegative(),
});
export type AttemptState = z.infer<typeof AttemptState>;
