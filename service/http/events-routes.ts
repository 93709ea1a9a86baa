import { z } from 'zod';
import type { FastifyRequest } from 'fastify';
import { INPUT_BYTES_MAX } from '../../events/cloud-event.ts';
import type { Input } from '../../events/inputs.ts';
import { requireMayReport } from '../access/guard.ts';
import { recordedFacts } from '../access/recorded-facts.ts';
import { overloaded, type Receipt } from '../engine/engine.ts';
import { refusalOfEarlier } from '../reads/earlier.ts';
import { BATCH_MAX, readSubmissions } from './event-body.ts';
import { statusOf } from './replies.ts';
import type { App, Service } from './service.ts';
import { EventShape, Outcome, Problem, problems } from './shapes.ts';

/** `POST /v1/events` accepts inputs and acknowledges them when they are durable. */

const EVENTS_BYTES_MAX = 8 * INPUT_BYTES_MAX;

type OutcomeItem = z.infer<typeof Outcome>;

const BatchProblem = Problem.extend({
  errors: z
    .array(z.object({ index: z.number(), id: z.string().nullable(), code: z.string(), message: z.string() }))
    .optional()
    .describe('the malformed events of a batch'),
  items: z.array(Outcome).optional().describe('the outcome of each event, when some were refused'),
});

export function addEvents(app: App, service: Service): void {
  const schema = {
    summary: 'Accept one CloudEvent or a batch; the reply comes when they are durable',
    description:
      'A batch with a malformed event is rejected as a whole. A valid event that is refused is stored in the ledger with the reason; the rest of its batch is accepted.',
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
      // The handler validates the body, so that an error names the field of the event and its index in the batch.
      validatorCompiler: () => (value: unknown) => ({ value }),
    },
    async (request, reply) => {
      const began = performance.now();
      const { submissions, isBatch, bytes } = readSubmissions(request);
      const recorded = recordedFacts(service.engine);
      for (const { input } of submissions) requireMayReport(request.principal, input, recorded);
      const receipts = await service.engine.submit(submissions, { bytes });
      const items = submissions.map(({ input }, index) => outcomeOf(service, input, receipts[index]));
      for (const item of items) service.metrics.taken(outcomeLabel(item), performance.now() - began);
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

/** Refuses a request by its Content-Length before its body is read, when the backlog has no room. @throws Fault OVERLOADED. */
async function requireRoom({ engine }: Service, { headers }: FastifyRequest): Promise<void> {
  if (!engine.hasRoom(Number(headers['content-length'] ?? 0))) throw overloaded();
}

function outcomeOf({ engine }: Service, input: Input, receipt: Receipt | undefined): OutcomeItem {
  const { source, id } = input;
  const duplicate = receipt?.outcome === 'duplicate';
  const refusal = duplicate ? refusalOfEarlier(engine.parts, input) : (receipt?.refusal ?? null);
  const pending = receipt?.outcome === 'pending' ? { pending: receipt.input ?? '' } : {};
  return { source, id, position: receipt?.position ?? null, duplicate, refusal, ...pending };
}

function outcomeLabel({ duplicate, refusal, pending }: OutcomeItem): string {
  if (pending !== undefined) return 'pending';
  return duplicate ? 'duplicate' : refusal === null ? 'consumed' : 'refused';
}
const statusOfRefusal = ({ refusal }: OutcomeItem): 409 | 422 => (statusOf(refusal?.code ?? '') === 409 ? 409 : 422);

function batchRefused(items: OutcomeItem[], refused: number) {
  const message = `${refused} of ${items.length} events were refused; the rest were accepted`;
  return { code: 'REFUSED', message, remedy: 'Read `refusal` of each item for the reason.', items };
}
