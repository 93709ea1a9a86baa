import { z } from 'zod';
import { AttemptState } from './attempt.ts';
import { Command, Question } from './commands.ts';
import { Configuration } from './configuration.ts';
import { ENTRY_VERSION } from './entry-version.ts';
import { HostRecord, VmRecord } from './records.ts';
import { MigrationId, Milliseconds } from './vocabulary.ts';

/**
 * The purpose of a timer of an attempt. `question-limit`: the oldest open question becomes unknown. `recheck`: the hosts are
 * asked again. `deadline`: the final round begins, or the re-examination of a settled verdict ends. `command-retry`: commands
 * without an acknowledgement are sent again.
 */
const timerKinds = ['question-limit', 'recheck', 'deadline', 'command-retry'] as const;
export const TimerKind = z.enum(timerKinds);
export type TimerKind = z.infer<typeof TimerKind>;

export function isTimerKind(text: string): text is TimerKind {
  return (timerKinds as readonly string[]).includes(text);
}

/** The cause of an entry: an input, a malformed input, or a due timer of an attempt. */
export const Cause = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('input'),
    type: z.string(),
    source: z.string(),
    id: z.string(),
    digest: z.string(),
    /** Time of the event on its producer's clock; never compared with other times. */
    time: z.string().optional(),
    trace: z.string().optional(),
    /** The stream the input came from, such as a Kafka partition; `offset` is its position there. */
    stream: z.string().optional(),
    offset: z.number().int().optional(),
    /** An input may affect several attempts. The first of its entries has no part; the following entries count from 1. */
    part: z.number().int().positive().optional(),
    data: z.unknown(),
  }),
  z.strictObject({
    /** An input that could not be parsed or validated; the entry's `refusal` has the reason. */
    kind: z.literal('malformed'),
    source: z.string(),
    id: z.string(),
    digest: z.string(),
    stream: z.string(),
    offset: z.number().int(),
    /** The beginning of the input as text, at most `MALFORMED_BYTES_KEPT` characters. */
    text: z.string(),
    /** Length of the whole input in bytes. */
    bytes: z.number().int(),
    /** Set if `text` is base64, because the bytes are not valid UTF-8. */
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

/** Returns the timers with their kinds, in the order in which they were set. The schema admits no other keys. */
export function timersOf(timers: Timers): [TimerKind, z.infer<typeof Timer>][] {
  return Object.entries(timers) as [TimerKind, z.infer<typeof Timer>][];
}

/**
 * One entry of the ledger: its cause and the resulting state. A rebuild assigns `attempt`, `record`, `host` and
 * `configuration` from the entry and decides nothing (invariant 9). The clock names the world that the entry belongs to:
 * `wall` for the live site, or one recording.
 */
export const Entry = z.strictObject({
  v: z.literal(ENTRY_VERSION),
  time: Milliseconds,
  clock: z.string(),
  vm: z.string().nullable(),
  cause: Cause,
  /** The attempt after this entry; null if the entry affects no attempt. */
  attempt: AttemptState.nullable(),
  timers: Timers,
  /** The number of the verdict in `attempt.verdicts` that this entry added; null if it added none. */
  verdict: z.number().int().positive().nullable(),
  /** The VM's record after this entry; null if the record is unchanged. */
  record: VmRecord.nullable(),
  host: HostRecord.nullable(),
  configuration: Configuration.nullable(),
  questions: z.array(Question),
  commands: z.array(Command),
  /** The reason why the input was refused, with a stable code; null if it was accepted. */
  refusal: z.strictObject({ code: z.string(), message: z.string(), remedy: z.string() }).nullable(),
});
export type Entry = z.infer<typeof Entry>;
