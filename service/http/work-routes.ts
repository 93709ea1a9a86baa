import { once } from 'node:events';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { randomBytes } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { Fault } from '../../events/fault.ts';
import { requireHost } from '../access/guard.ts';
import { ORCHESTRATOR, type Outbox, type Recipient, type WorkItem } from '../engine/outbox.ts';
import type { App, Service } from './service.ts';
import { HostParams, problems, WorkList, WorkQuery } from './shapes.ts';

/**
 * Questions and commands on their way out: by long poll, or as server-sent events. What is outstanding lies in the outbox, not
 * in a connection, so a slow or lost reader costs nothing and misses nothing.
 */

const WAITERS_MAX = 16;
const HEARTBEAT_MS = 15_000;
const SSE_ITEMS = 100;

/** A cursor of another run is none: then all that is outstanding is handed out again. */
const RUN = randomBytes(6).toString('base64url');

type Ask = { after?: string | undefined; wait: number; limit: number };

export function addWork(app: App, service: Service): void {
  const schema = {
    tags: ['work'],
    querystring: WorkQuery,
    produces: ['application/json', 'text/event-stream'],
    response: { 200: WorkList, ...problems(400, 401, 403, 503) },
  };
  app.get(
    '/v1/hosts/:host/work',
    {
      config: { needs: ['agent', 'operate'] },
      schema: {
        ...schema,
        summary: 'Questions and commands for the agent of a host, at least once',
        description:
          'With `Accept: text/event-stream` they come as they arise. Answers and acknowledgements are events.',
        params: HostParams,
      },
    },
    async (request, reply) => {
      const { host } = request.params;
      requireHost(request.principal, host);
      const done = service.agents.asks(host);
      try {
        return await hand(service, host, request.query, request, reply);
      } finally {
        done();
      }
    },
  );
  app.get(
    '/v1/orchestrator/work',
    {
      config: { needs: ['ingest', 'operate'] },
      schema: { ...schema, summary: 'Commands for the orchestrator, at least once' },
    },
    (request, reply) => hand(service, ORCHESTRATOR, request.query, request, reply),
  );
}

async function hand({ engine }: Service, recipient: Recipient, ask: Ask, request: FastifyRequest, reply: FastifyReply) {
  const { outbox } = engine;
  if (outbox.isClosed) throw new Fault('STOPPING', 'the service is stopping', 'Ask again when it is back.');
  if (outbox.waiting(recipient) >= WAITERS_MAX)
    throw new Fault('OVERLOADED', 'too many wait for this work already', 'One is enough.');
  const isStream = request.headers.accept?.includes('text/event-stream') === true;
  const lastEventId = request.headers['last-event-id'];
  const from = numberOf(typeof lastEventId === 'string' ? lastEventId : ask.after);
  if (isStream) return stream(outbox, recipient, from, reply);
  const gone = closing(reply);
  await news(outbox, recipient, from, ask.wait * 1000, gone);
  const found = outbox.after(recipient, from, ask.limit);
  const items: WorkItem[] = found.map(({ item }) => item);
  return { items, next: cursor(found.at(-1)?.number ?? from) };
}

/** The reader's pace is kept: the next items are fetched when the last ones have gone out. */
async function stream(outbox: Outbox, recipient: Recipient, from: number, reply: FastifyReply): Promise<FastifyReply> {
  reply.hijack();
  const { raw } = reply;
  const gone = new AbortController();
  raw.on('close', () => gone.abort());
  raw.on('error', () => gone.abort());
  raw.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' });
  let number = from;
  while (!gone.signal.aborted && !outbox.isClosed) {
    const found = outbox.after(recipient, number, SSE_ITEMS);
    number = found.at(-1)?.number ?? number;
    const text = found.map(
      (each) => `id: ${cursor(each.number)}\nevent: ${each.item.kind}\ndata: ${JSON.stringify(each.item)}\n\n`,
    );
    const isTaken = raw.write(text.length === 0 ? ': still here\n\n' : text.join(''));
    // A reader that does not read is asked to come again; what it missed lies here still.
    if (!isTaken && !(await drained(raw, gone.signal))) break;
    await news(outbox, recipient, number, HEARTBEAT_MS, gone.signal);
  }
  if (gone.signal.aborted) raw.destroy();
  else raw.end();
  return reply;
}

async function drained(raw: FastifyReply['raw'], gone: AbortSignal): Promise<boolean> {
  try {
    await once(raw, 'drain', { signal: AbortSignal.any([gone, AbortSignal.timeout(2 * HEARTBEAT_MS)]) });
    return true;
  } catch {
    raw.destroy();
    return false;
  }
}

/** Returns as soon as there is something with a higher number, or the time is over, or the reader is gone. */
async function news(outbox: Outbox, recipient: Recipient, from: number, ms: number, gone: AbortSignal): Promise<void> {
  if (outbox.after(recipient, from, 1).length > 0 || ms === 0 || gone.aborted || outbox.isClosed) return;
  const over = new AbortController();
  const cancel = outbox.wait(recipient, () => over.abort());
  try {
    await wait(ms, undefined, { signal: AbortSignal.any([over.signal, gone]) });
  } catch {
    // Something came, or nobody waits any more.
  } finally {
    cancel();
  }
}

function closing({ raw }: FastifyReply): AbortSignal {
  const gone = new AbortController();
  raw.once('close', () => gone.abort());
  return gone.signal;
}

function cursor(number: number): string {
  return `${RUN}.${number}`;
}

function numberOf(given: string | undefined): number {
  const match = /^([\w-]+)\.(\d{1,15})$/.exec(given ?? '');
  return match?.[1] === RUN ? Number(match[2]) : 0;
}
