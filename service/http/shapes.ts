import { z } from 'zod';
import { Alarm } from '../../events/attempt.ts';
import { CloudEvent } from '../../events/cloud-event.ts';
import { Command, Question } from '../../events/commands.ts';
import { parseMoment } from '../../events/moment.ts';
import { Verdict } from '../../events/verdict.ts';
import { Certainty, LockMode, Power, State, Status } from '../../events/vocabulary.ts';
import type { MigrationView } from '../../projections/attempts.ts';
import type { DeadLetter } from '../../projections/site.ts';
import { guestsShown, outcomesShown } from '../../projections/timeline-facts.ts';
import type { TimelineItem } from '../../projections/timeline.ts';
import type { VmStatus } from '../../projections/vms.ts';

/** The schemas of requests and replies. The OpenAPI description is generated from them, and tests validate replies against them. */

export const LIMIT_MAX = 1000;
const time = z.string().describe('ISO 8601');

export const Problem = z.object({
  code: z.string().describe('stable error code for scripts'),
  message: z.string(),
  remedy: z.string().describe('what the client should do'),
});

/** A past time, in the formats that the command line accepts. */
const At = z
  .string()
  .max(40)
  .describe('the past time to read at: ISO 8601, or milliseconds since the epoch')
  .transform((text, context) => {
    const ms = parseMoment(text);
    if (ms !== null) return ms;
    context.addIssue({ code: 'custom', message: 'is not a time: write it as 2026-11-23T02:14:00Z' });
    return z.NEVER;
  });

const which = {
  ledger: z
    .enum(['live', 'demo'])
    .default('live')
    .describe('`demo` reads the shipped recordings, which the first start plays'),
};
const page = {
  limit: z.coerce.number().int().min(1).max(LIMIT_MAX).default(100),
  after: z.string().min(1).max(512).optional().describe('`next` of the previous page'),
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
    next: z.string().nullable().describe('`after` of the next page; null on the last page'),
    ledger: z.literal('demo').optional().describe('present when the items are from the demo ledger'),
  });

const Lock = z.object({
  volume: z.string(),
  owner: z.string().nullable(),
  mode: LockMode.nullable(),
  desiredOwner: z.string().nullable(),
  observed: z
    .boolean()
    .describe('False if neither the lock manager nor an acknowledged lock command has shown the lock yet.'),
  agrees: z
    .boolean()
    .describe('True if the observed holder is the desired one. False while the lock was not observed.'),
  copy: z
    .object({ host: z.string(), current: z.boolean().nullable() })
    .optional()
    .describe('the host of a copied volume, and whether the guest uses this copy; null while no verdict is proven'),
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
  migration: z.string().nullable().describe('the id of the open attempt'),
  asOf: z.object({ position: z.string(), time: time.nullable() }),
}) satisfies z.ZodType<VmStatus>;

const VerdictShape = Verdict.extend({ decidedAt: time });

export const MigrationShape = z.object({
  migration: z.string(),
  vm: z.string(),
  source: z.string(),
  destination: z.string(),
  status: Status.describe('The status in the words of docs/verdicts.md, “States and outcomes”.'),
  state: State.describe(
    'The state of the machine. A contested attempt is in state RolledBack, because its call fails.',
  ),
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
  guest: z.enum(guestsShown).nullable().describe('what the item shows of the guest on `host`'),
  outcome: z.enum(outcomesShown).nullable(),
  lock: z
    .object({ volume: z.string(), holders: z.array(z.string()) })
    .nullable()
    .describe('holders of a volume'),
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
  previous: z.string().describe('SHA-256 hash of the previous entry'),
  hash: z.string().describe('SHA-256 over `previous` and the JSON text of `entry`'),
  entry: z.looseObject({}).describe('the entry; docs/schemas/entry.json has its schema'),
});

export const EventShape = CloudEvent.describe('a CloudEvent 1.0; docs/schemas has the schema of `data` for every type');

/** The outcome of one event. */
export const Outcome = z.object({
  source: z.string(),
  id: z.string(),
  position: z.string().nullable().describe('its position in the ledger; null for a duplicate'),
  duplicate: z.boolean().describe('true when the same event was accepted before; nothing changed'),
  pending: z
    .string()
    .optional()
    .describe('Kafka only: its position among the inputs, when it is durable but not decided yet'),
  refusal: Problem.nullable().describe('the reason when the input was refused; the refusal is stored in the ledger'),
});

const Work = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('question'), question: Question }),
  z.object({ kind: z.literal('command'), command: Command }),
]);
export const WorkList = z.object({
  items: z.array(Work),
  next: z.string().describe('`after` of the next request; a request without it gets all outstanding items again'),
});
export const WorkQuery = z.strictObject({
  after: z.string().max(128).optional(),
  wait: z.coerce.number().int().min(0).max(60).default(25).describe('the longest wait for a new item, in seconds'),
  limit: page.limit,
});

/** The error replies of a route, for these statuses and 429. */
export const problems = (...statuses: number[]) =>
  Object.fromEntries([...statuses, 429].map((status) => [status, Problem]));
