import { z } from 'zod';
import { Alarm } from '../../events/attempt.ts';
import { CloudEvent } from '../../events/cloud-event.ts';
import { Command, Question } from '../../events/commands.ts';
import { parseMoment } from '../../events/moment.ts';
import { Verdict } from '../../events/verdict.ts';
import { Certainty, LockMode, Power, State } from '../../events/vocabulary.ts';
import type { MigrationView } from '../../projections/attempts.ts';
import type { DeadLetter } from '../../projections/site.ts';
import type { TimelineItem } from '../../projections/timeline.ts';
import type { VmStatus } from '../../projections/vms.ts';

/** The shapes of requests and replies. From these the OpenAPI description is generated; replies of tests are held to them. */

export const LIMIT_MAX = 1000;
const time = z.string().describe('ISO 8601');

export const Problem = z.object({
  code: z.string().describe('stable, for scripts'),
  message: z.string(),
  remedy: z.string().describe('what to do about it'),
});

/** A moment of the past, as the command line takes it. */
const At = z
  .string()
  .max(40)
  .describe('as of then: ISO 8601, or milliseconds since the epoch')
  .transform((text, context) => {
    const ms = parseMoment(text);
    if (ms !== null) return ms;
    context.addIssue({ code: 'custom', message: 'is no time: write it as 2026-11-23T02:14:00Z' });
    return z.NEVER;
  });

const which = {
  ledger: z.enum(['live', 'demo']).default('live').describe('demo: the shipped recordings, played at the first start'),
};
const page = {
  limit: z.coerce.number().int().min(1).max(LIMIT_MAX).default(100),
  after: z.string().min(1).max(512).optional().describe('`next` of the page before'),
};
export const OneQuery = z.strictObject({ ...which, at: At.optional() });
export const LedgerQuery = z.strictObject(which);
export const NowQuery = z.strictObject({ ...which, ...page });
export const ListQuery = z.strictObject({ ...which, ...page, at: At.optional() });
export const VmParams = z.object({ vm: z.string().min(1).max(255).describe('a UUID or a name') });
export const MigrationParams = z.object({ id: z.string().min(1).max(255) });
export const HostParams = z.object({ host: z.string().min(1).max(255) });

export const listOf = <S extends z.ZodType>(item: S) =>
  z.object({
    items: z.array(item),
    next: z.string().nullable().describe('`after` of the next page; null: there is none'),
    ledger: z.literal('demo').optional().describe('there where the items are of the demo ledger'),
  });

const Lock = z.object({
  volume: z.string(),
  owner: z.string().nullable(),
  mode: LockMode.nullable(),
  desiredOwner: z.string().nullable(),
  agrees: z.boolean(),
});

export const VmShape = z.object({
  vm: z.string(),
  name: z.string().nullable(),
  zone: z.string().nullable(),
  cluster: z.string().nullable(),
  host: z.string().nullable(),
  lastHost: z.string().nullable(),
  certainty: Certainty,
  power: Power,
  locks: z.array(Lock),
  migration: z.string().nullable().describe('the open attempt'),
  asOf: z.object({ position: z.string(), time: time.nullable() }),
}) satisfies z.ZodType<VmStatus>;

const VerdictShape = Verdict.extend({ decidedAt: time });

export const MigrationShape = z.object({
  migration: z.string(),
  vm: z.string(),
  source: z.string(),
  destination: z.string(),
  state: State,
  settled: z.boolean(),
  contested: z.boolean(),
  verdict: VerdictShape.nullable(),
  verdicts: z.array(VerdictShape),
  startedAt: time,
  failedAt: time.nullable(),
  settledAt: time.nullable(),
  at: z.string(),
  waiting: z.string().nullable(),
  clock: z.string(),
  error: z.string().nullable(),
  alarms: z.array(Alarm.extend({ at: time })),
  supersededBy: z.string().nullable(),
}) satisfies z.ZodType<MigrationView>;

export const TimelineShape = z.object({
  time,
  clock: z.string(),
  lane: z.enum(['source', 'destination', 'other', 'landfall', 'lock']),
  host: z.string().nullable(),
  kind: z.string(),
  text: z.string(),
  migration: z.string().nullable(),
  position: z.string(),
  times: z.number().int(),
  until: time,
}) satisfies z.ZodType<TimelineItem>;

export const DeadLetterShape = z.object({
  position: z.string(),
  time,
  vm: z.string().nullable(),
  code: z.string(),
  message: z.string(),
  remedy: z.string(),
  kind: z.string(),
  type: z.string().nullable(),
  source: z.string().nullable(),
  id: z.string().nullable(),
  stream: z.string().nullable(),
  offset: z.number().nullable(),
  excerpt: z.string().nullable(),
}) satisfies z.ZodType<DeadLetter>;

export const EntryShape = z.object({
  position: z.string(),
  previous: z.string().describe('SHA-256 that this entry follows'),
  hash: z.string().describe('SHA-256 over `previous` and the JSON text of `entry`'),
  entry: z.looseObject({}).describe('docs/schemas/entry.json'),
});

export const EventShape = CloudEvent.describe('a CloudEvent 1.0; docs/schemas has the data of every type');

/** What became of one event. */
export const Outcome = z.object({
  source: z.string(),
  id: z.string(),
  position: z.string().nullable().describe('where it stands in the ledger; null for a duplicate'),
  duplicate: z.boolean().describe('it was there already, and nothing changed'),
  pending: z
    .string()
    .optional()
    .describe('where it stands among the inputs: it is durable, and will be decided; only where Kafka is the ledger'),
  refusal: Problem.nullable().describe('it is in the ledger, with the reason why it was not followed'),
});

const Work = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('question'), question: Question }),
  z.object({ kind: z.literal('command'), command: Command }),
]);
export const WorkList = z.object({
  items: z.array(Work),
  next: z.string().describe('`after` of the next request; without it all that is outstanding is handed out again'),
});
export const WorkQuery = z.strictObject({
  after: z.string().max(128).optional(),
  wait: z.coerce.number().int().min(0).max(60).default(25).describe('seconds to wait for something new'),
  limit: page.limit,
});

/** What any route may answer where it cannot do what was asked. */
export const problems = (...statuses: number[]) =>
  Object.fromEntries([...statuses, 429].map((status) => [status, Problem]));
