import { z } from 'zod';
import { AttemptState } from './attempt.ts';
import { Command, Question } from './commands.ts';
import { Configuration } from './configuration.ts';
import { ENTRY_VERSION } from './entry-version.ts';
import { HostRecord, VmRecord } from './records.ts';
import { MigrationId, Milliseconds } from './vocabulary.ts';

/**
 * What a timer of an attempt is for. `question-limit`: the oldest open question becomes unknown. `recheck`: the hosts are asked
 * again. `deadline`: the last round begins, or a second look at a settled verdict ends. `command-retry`: commands without an
 * acknowledgement are sent again.
 */
const timerKinds = ['question-limit', 'recheck', 'deadline', 'command-retry'] as const;
export const TimerKind = z.enum(timerKinds);
export type TimerKind = z.infer<typeof TimerKind>;

export function isTimerKind(text: string): text is TimerKind {
  return (timerKinds as readonly string[]).includes(text);
}

/** Why an entry was written: an input, or a timer of an attempt that fell due. */
export const Cause = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('input'),
    type: z.string(),
    source: z.string(),
    id: z.string(),
    digest: z.string(),
    /** When the producer says it happened. Testimony, never compared. */
    time: z.string().optional(),
    trace: z.string().optional(),
    /** Where the input stood in its stream. */
    stream: z.string().optional(),
    offset: z.number().int().optional(),
    /** One input may touch several attempts: the entries after its first count on from 1. Absent: the first. */
    part: z.number().int().positive().optional(),
    data: z.unknown(),
  }),
  z.strictObject({
    /** Something that could not be read as an input; the entry's `refusal` says why. */
    kind: z.literal('malformed'),
    source: z.string(),
    id: z.string(),
    digest: z.string(),
    stream: z.string(),
    offset: z.number().int(),
    /** Its first bytes, as text, up to `MALFORMED_BYTES_KEPT`. */
    text: z.string(),
    /** Its whole length in bytes. */
    bytes: z.number().int(),
    /** `text` is base64, as the bytes are no UTF-8. Absent: it is the bytes as UTF-8. */
    encoding: z.literal('base64').optional(),
  }),
  z.strictObject({
    kind: z.literal('timer'),
    migration: MigrationId,
    timer: TimerKind,
    generation: z.number().int(),
    dueAt: Milliseconds,
  }),
]);
export type Cause = z.infer<typeof Cause>;

/** An attempt has at most one timer of each kind. A timer fires only with the generation that the attempt still has. */
const Timer = z.strictObject({ dueAt: Milliseconds, generation: z.number().int() });
export const Timers = z.partialRecord(TimerKind, Timer);
export type Timers = z.infer<typeof Timers>;

/** The timers with their kinds, in the order in which they were set. The schema admits no other keys. */
export function timersOf(timers: Timers): [TimerKind, z.infer<typeof Timer>][] {
  return Object.entries(timers) as [TimerKind, z.infer<typeof Timer>][];
}

/**
 * One entry of the ledger: what came in, and what came of it. Rebuilding assigns `attempt`, `record`, `host` and
 * `configuration` as they stand here.
 */
export const Entry = z.strictObject({
  v: z.literal(ENTRY_VERSION),
  time: Milliseconds,
  clock: z.string(),
  vm: z.string().nullable(),
  cause: Cause,
  /** The attempt after this entry, with its timers; null where none was touched. */
  attempt: AttemptState.nullable(),
  timers: Timers,
  /** The number of the verdict this entry made, in `attempt.verdicts`. */
  verdict: z.number().int().positive().nullable(),
  /** The VM's record after this entry; null where it is as before. */
  record: VmRecord.nullable(),
  host: HostRecord.nullable(),
  configuration: Configuration.nullable(),
  questions: z.array(Question),
  commands: z.array(Command),
  /** Why the input was not followed: a refusal with its stable code. */
  refusal: z.strictObject({ code: z.string(), message: z.string(), remedy: z.string() }).nullable(),
});
export type Entry = z.infer<typeof Entry>;
