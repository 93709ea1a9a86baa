import { z } from 'zod';
import type { FastifyRequest } from 'fastify';
import { INPUT_BYTES_MAX } from '../../events/cloud-event.ts';
import { Fault } from '../../events/fault.ts';
import type { Input } from '../../events/inputs.ts';
import type { VmRecord } from '../../events/records.ts';
import { attemptState } from '../../projections/attempts.ts';
import { vmRecord } from '../../projections/vms.ts';
import { type Recorded, requireMayReport } from '../access/guard.ts';
import { type Engine, overloaded, type Receipt, type Submission, submissionOf } from '../engine/engine.ts';
import { ORCHESTRATOR } from '../../producers/work-queue.ts';
import { refusalOfEarlier } from '../reads/earlier.ts';
import { BadBatch, type BadMember } from './bad-batch.ts';
import { statusOf } from './replies.ts';
import type { App, Service } from './service.ts';
import { EventShape, Outcome, Problem, problems } from './shapes.ts';

/** `POST /v1/events`: inputs come in, and are acknowledged once they are durable. */

const EVENTS_BYTES_MAX = 8 * INPUT_BYTES_MAX;
const BATCH_MAX = 1000;

/** A parsed JSON body, and how long its text was. */
export class Body {
  readonly value: unknown;
  readonly bytes: number;

  constructor(value: unknown, bytes: number) {
    this.value = value;
    this.bytes = bytes;
  }
}

type OutcomeItem = z.infer<typeof Outcome>;

const BatchProblem = Problem.extend({
  errors: z
    .array(z.object({ index: z.number(), id: z.string().nullable(), code: z.string(), message: z.string() }))
    .optional()
    .describe('which members of a batch are bad'),
  items: z.array(Outcome).optional().describe('what became of each member where some were refused'),
});

export function addEvents(app: App, service: Service): void {
  const schema = {
    summary: 'Takes one CloudEvent, or a batch; answers once it is durable',
    description:
      'A batch with a malformed member is not taken at all. Members that are well-formed but refused are in the ledger with the reason, beside the others.',
    tags: ['events'],
    consumes: ['application/json', 'application/cloudevents+json', 'application/cloudevents-batch+json'],
    body: z.union([EventShape, z.array(EventShape).max(BATCH_MAX)]),
    response: {
      202: z.union([Outcome, z.object({ items: z.array(Outcome), next: z.null() })]),
      ...problems(401, 403, 413, 415, 503),
      400: BatchProblem,
      409: BatchProblem,
      422: BatchProblem,
    },
  };
  app.post(
    '/v1/events',
    {
      schema,
      bodyLimit: EVENTS_BYTES_MAX,
      config: { needs: ['ingest', 'agent', 'operate'] },
      preParsing: (request) => requireRoom(service, request),
      // The body is validated here, so that an error names the event's own field, and the member of a batch.
      validatorCompiler: () => (value: unknown) => ({ value }),
    },
    async (request, reply) => {
      const began = performance.now();
      const { submissions, isBatch, bytes } = read(request);
      for (const { input } of submissions) requireMayReport(request.principal, input, recordedIn(service));
      const receipts = await service.engine.submit(submissions, { bytes });
      const items = submissions.map(({ input }, index) => outcomeOf(service, input, receipts[index]));
      for (const item of items) service.metrics.taken(wordOf(item), performance.now() - began);
      const refused = items.filter((item) => item.refusal !== null);
      const [item] = items;
      if (!isBatch && item !== undefined) {
        if (item.refusal !== null) return reply.status(statusOfRefusal(item)).send({ ...item.refusal, items: [item] });
        return reply.status(202).send(item);
      }
      if (refused.length === 0) return reply.status(202).send({ items, next: null });
      const isConflict = refused.some((each) => statusOfRefusal(each) === 409);
      return reply.status(isConflict ? 409 : 422).send(batchRefused(items, refused.length));
    },
  );
}

/** What cannot wait is refused by its length alone, before anybody reads it. @throws Fault OVERLOADED. */
async function requireRoom({ engine }: Service, { headers }: FastifyRequest): Promise<void> {
  if (!engine.hasRoom(Number(headers['content-length'] ?? 0))) throw overloaded();
}

function read(request: FastifyRequest): { submissions: Submission[]; isBatch: boolean; bytes: number } {
  const { value, bytes } = bodyOf(request);
  const isBatch = Array.isArray(value);
  const isBatchType = request.headers['content-type']?.includes('cloudevents-batch') === true;
  if (isBatchType && !isBatch) throw new Fault('BAD_BATCH', 'event: a batch is an array of events', 'Send [ … ].');
  if (!isBatch) {
    if (bytes > INPUT_BYTES_MAX) throw tooLarge('the event');
    return { submissions: [submissionOf(value)], isBatch, bytes };
  }
  if (value.length > BATCH_MAX)
    throw new Fault('TOO_LARGE', `a batch has at most ${BATCH_MAX} events`, 'Send several.');
  if (bytes > INPUT_BYTES_MAX) value.forEach(requireSmall);
  return { submissions: readMembers(value), isBatch, bytes };
}

function bodyOf(request: FastifyRequest): Body {
  if (request.body instanceof Body) return request.body;
  throw new Fault('BAD_JSON', 'event: the body is empty', 'Send a CloudEvent as JSON.');
}

/** Every member is looked at, so that one reply names all that are bad. */
function readMembers(values: readonly unknown[]): Submission[] {
  const errors: BadMember[] = [];
  const submissions = values.flatMap((value, index) => {
    try {
      return [submissionOf(value)];
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      errors.push({ index, id: idOf(value), code: error.code, message: error.message });
      return [];
    }
  });
  if (errors.length > 0) throw new BadBatch(errors, values.length);
  return submissions;
}

function requireSmall(value: unknown, index: number): void {
  if (Buffer.byteLength(JSON.stringify(value)) > INPUT_BYTES_MAX) throw tooLarge(`[${index}]`);
}

function tooLarge(what: string): Fault {
  return new Fault('TOO_LARGE', `${what} is larger than ${INPUT_BYTES_MAX} bytes`, 'Shorten it.');
}

function idOf(value: unknown): string | null {
  if (typeof value !== 'object' || value === null || !('id' in value)) return null;
  return typeof value.id === 'string' ? value.id.slice(0, 512) : null;
}

function recordedIn({ engine }: Service): Recorded {
  return {
    hostOfCommand: (command) => hostOfCommand(engine, command),
    holders: (vm, volume) => {
      const records = engine.parts.map(({ db }) => vmRecord(db, vm));
      return records.flatMap((record) => (record === null ? [] : heldBy(record, volume)));
    },
  };
}

function heldBy({ holders }: VmRecord, volume: string): string[] {
  const found = Object.hasOwn(holders, volume) ? (holders[volume] ?? []) : [];
  return found.map(({ host }) => host);
}

/** Whom a command was sent to, looked up among what is outstanding and then in what is recorded of its attempt. */
function hostOfCommand({ workQueue, parts }: Engine, command: string): string | null | undefined {
  return migrationsIn(command)
    .map((migration) => recipientOf({ workQueue, parts }, migration, command))
    .find((host) => host !== undefined);
}

/** A volume may be named like the middle of a command's id, so its attempt's id may end at several places. */
function migrationsIn(command: string): string[] {
  return [...command.matchAll(/(?<=.)\/v\d+\/[a-z-]+(?=\/|$)/g)].map(({ index }) => command.slice(0, index));
}

function recipientOf(
  { workQueue, parts }: Pick<Engine, 'workQueue' | 'parts'>,
  migration: string,
  command: string,
): string | null | undefined {
  const recipient = workQueue.recipientOfCommand(migration, command);
  if (recipient !== undefined) return recipient === ORCHESTRATOR ? null : recipient;
  const found = parts.map(({ db }) => attemptState(db, migration)).find((state) => state !== null);
  const steps = found?.state.attempt.steps ?? [];
  return steps.find((step) => step.command === command)?.host;
}

function outcomeOf({ engine }: Service, input: Input, receipt: Receipt | undefined): OutcomeItem {
  const { source, id } = input;
  const duplicate = receipt?.outcome === 'duplicate';
  const refusal = duplicate ? refusalOfEarlier(engine.parts, input) : (receipt?.refusal ?? null);
  const pending = receipt?.outcome === 'pending' ? { pending: receipt.input ?? '' } : {};
  return { source, id, position: receipt?.position ?? null, duplicate, refusal, ...pending };
}

function wordOf({ duplicate, refusal, pending }: OutcomeItem): string {
  if (pending !== undefined) return 'pending';
  return duplicate ? 'duplicate' : refusal === null ? 'consumed' : 'refused';
}
const statusOfRefusal = ({ refusal }: OutcomeItem): 409 | 422 => (statusOf(refusal?.code ?? '') === 409 ? 409 : 422);

function batchRefused(items: OutcomeItem[], refused: number) {
  const message = `${refused} of ${items.length} events were refused; the others were followed`;
  return { code: 'REFUSED', message, remedy: '`refusal` of each item says why.', items };
}
