import { once } from 'node:events';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { randomBytes } from 'node:crypto';
import { Fault } from '../../events/fault.ts';
import { requireHost } from '../access/guard.ts';
import { ORCHESTRATOR, type WorkQueue, type Recipient, type WorkItem } from '../../producers/work-queue.ts';
import { isKnownHost } from '../reads/known-host.ts';
import type { App, Service } from './service.ts';
import { HostParams, problems, WorkList, WorkQuery } from './shapes.ts';

/**
 * Serves questions and commands by long poll or as server-sent events. Outstanding items stay in the work queue, not in a
 * connection, so a slow or lost reader uses no memory and misses no item.
 */

/**
 * The largest number of concurrent requests for one recipient: waiting requests, and requests whose reply the client
 * has not taken yet.
 */
const ASKING_MAX = 16;
const HEARTBEAT_MS = 15_000;
/** The time in which an ended stream must deliver its remaining bytes. */
const ENDING_MS = 5000;
/** The delay after which an event-stream client reconnects. */
const RETRY_MS = 1000;
const SSE_ITEMS = 100;

/** Identifies this process in a cursor. With a cursor of another process the reader gets all outstanding items again. */
const RUN = randomBytes(6).toString('base64url');

const STREAMS =
  'With `Accept: text/event-stream` the reply is a stream of server-sent events. A stream ends after `streamSeconds`; the client then reconnects with `Last-Event-ID` and is authorized again.';

type Ask = { after?: string | undefined; wait: number; limit: number };

export function addWork(app: App, service: Service): void {
  const endpoint = new WorkEndpoint(service);
  const schema = {
    tags: ['work'],
    querystring: WorkQuery,
    produces: ['application/json', 'text/event-stream'],
    response: { 200: WorkList, ...problems(400, 401, 403, 404, 503) },
  };
  app.get(
    '/v1/hosts/:host/work',
    {
      config: { needs: ['agent', 'operate'] },
      schema: {
        ...schema,
        summary: 'Questions and commands for the agent of a host, delivered at least once',
        description: `${STREAMS} The agent sends its answers and acknowledgements as events. Each request shows that the agent is alive, so a request waits at most 5/6 of \`agentSilentSeconds\`.`,
        params: HostParams,
      },
    },
    (request, reply) => {
      const { host } = request.params;
      requireHost(request.principal, host);
      // A credential that names the host registers it.
      if (!request.principal.hosts.has(host)) requireKnown(service, host);
      service.agents.asks(host);
      return endpoint.hand(host, request.query, request, reply, service.agents.waitMsMax);
    },
  );
  app.get(
    '/v1/orchestrator/work',
    {
      config: { needs: ['ingest', 'operate'] },
      schema: { ...schema, summary: 'Commands for the orchestrator, delivered at least once', description: STREAMS },
    },
    (request, reply) => endpoint.hand(ORCHESTRATOR, request.query, request, reply),
  );
}

/** @throws Fault NO_SUCH_HOST, so that an agent with a misspelt name does not wait without an error. */
function requireKnown({ engine }: Service, host: string): void {
  if (engine.workQueue.itemsAfter(host, 0, 1).length > 0 || isKnownHost(engine.parts, host)) return;
  throw new Fault(
    'NO_SUCH_HOST',
    `host ${JSON.stringify(host)} is not registered, and no open attempt names it`,
    'Register the host first (landfall.host.facts.v1), or check the name. GET /v1/hosts lists the known hosts.',
  );
}

/** Answers requests for work, and limits the concurrent requests for each recipient. */
class WorkEndpoint {
  readonly #service: Service;
  readonly #asking = new Map<Recipient, number>();
  #total = 0;

  constructor(service: Service) {
    this.#service = service;
  }

  async hand(to: Recipient, ask: Ask, request: FastifyRequest, reply: FastifyReply, msMax = Number.POSITIVE_INFINITY) {
    const { engine, streamMs } = this.#service;
    const { workQueue } = engine;
    if (workQueue.isClosed)
      throw new Fault('STOPPING', 'the service is stopping', 'Send the request again after the restart.');
    const lastEventId = request.headers['last-event-id'];
    const from = numberOf(typeof lastEventId === 'string' ? lastEventId : ask.after);
    const isStream = request.headers.accept?.includes('text/event-stream') === true;
    this.#enter(to, reply);
    if (isStream) return await stream(workQueue, to, from, Math.min(streamMs, msMax), reply);
    return await poll(workQueue, to, from, { ...ask, wait: Math.min(ask.wait * 1000, msMax) }, reply);
  }

  /** Counts a request until its reply is sent or its client disconnects. @throws Fault OVERLOADED. */
  #enter(recipient: Recipient, { raw }: FastifyReply): void {
    const before = this.#asking.get(recipient) ?? 0;
    if (before >= ASKING_MAX)
      throw new Fault(
        'OVERLOADED',
        'too many concurrent requests for this work',
        'Use one request at a time for each host.',
      );
    if (this.#total >= this.#service.workRequestsMax)
      throw new Fault(
        'OVERLOADED',
        `${this.#total} requests for work are open, which is the limit of this service`,
        'Send the request again later, or raise the setting workRequestsMax.',
      );
    this.#asking.set(recipient, before + 1);
    this.#total += 1;
    onceOver(raw, () => this.#leave(recipient));
  }

  #leave(recipient: Recipient): void {
    this.#total -= 1;
    const left = (this.#asking.get(recipient) ?? 1) - 1;
    if (left === 0) this.#asking.delete(recipient);
    else this.#asking.set(recipient, left);
  }
}

/** Calls `over` once, when the reply is sent or its connection closes. A reply that waits behind another gets no event itself. */
function onceOver(raw: FastifyReply['raw'], over: () => void): void {
  const { socket } = raw.req;
  const end = () => {
    raw.off('close', end);
    socket.off('close', end);
    over();
  };
  raw.once('close', end);
  socket.once('close', end);
}

/** @param ask `wait` is in milliseconds. */
async function poll(workQueue: WorkQueue, recipient: Recipient, from: number, ask: Ask, reply: FastifyReply) {
  await news(workQueue, recipient, from, ask.wait, closing(reply));
  const found = workQueue.itemsAfter(recipient, from, ask.limit);
  const items: WorkItem[] = found.map(({ item }) => item);
  return { items, next: cursor(found.at(-1)?.number ?? from) };
}

/**
 * Streams the items at the pace of the reader: the next items are read when the previous items are sent. The stream ends after
 * `ms` milliseconds, so that the client must reconnect: with a token that is still valid, from a process that is still alive.
 */
async function stream(workQueue: WorkQueue, recipient: Recipient, from: number, ms: number, reply: FastifyReply) {
  reply.hijack();
  const { raw } = reply;
  const gone = closing(reply);
  const over = new AbortController();
  const end = () => over.abort();
  gone.addEventListener('abort', end);
  const timer = setTimeout(end, ms);
  raw.on('error', () => raw.destroy());
  raw.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' });
  raw.write(`retry: ${RETRY_MS}\n\n`);
  await sendItems(workQueue, recipient, from, raw, over.signal);
  clearTimeout(timer);
  raw.end();
  if (!raw.writableFinished) await happens(raw, 'finish', AbortSignal.any([gone, AbortSignal.timeout(ENDING_MS)]));
  if (!raw.writableFinished) raw.destroy();
  return reply;
}

async function sendItems(
  workQueue: WorkQueue,
  recipient: Recipient,
  from: number,
  raw: FastifyReply['raw'],
  over: AbortSignal,
): Promise<void> {
  let number = from;
  while (!over.aborted && !workQueue.isClosed) {
    const found = workQueue.itemsAfter(recipient, number, SSE_ITEMS);
    number = found.at(-1)?.number ?? number;
    const text = found.map(
      (each) => `id: ${cursor(each.number)}\nevent: ${each.item.kind}\ndata: ${JSON.stringify(each.item)}\n\n`,
    );
    const isTaken = raw.write(text.length === 0 ? ': still here\n\n' : text.join(''));
    // Items that a stalled reader did not get stay in the queue until it reconnects.
    if (!isTaken && !(await happens(raw, 'drain', over))) return;
    await news(workQueue, recipient, number, HEARTBEAT_MS, over);
  }
}

async function happens(raw: FastifyReply['raw'], event: 'drain' | 'finish', until: AbortSignal): Promise<boolean> {
  try {
    await once(raw, event, { signal: until });
    return true;
  } catch {
    return false;
  }
}

/** Resolves when an item above `from` exists, after `ms` milliseconds, or when the client disconnects. */
async function news(
  workQueue: WorkQueue,
  recipient: Recipient,
  from: number,
  ms: number,
  gone: AbortSignal,
): Promise<void> {
  if (workQueue.itemsAfter(recipient, from, 1).length > 0 || ms === 0 || gone.aborted || workQueue.isClosed) return;
  await new Promise<void>((resolve) => {
    const end = () => {
      clearTimeout(timer);
      cancel();
      gone.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    const cancel = workQueue.onceAvailable(recipient, end);
    gone.addEventListener('abort', end);
  });
}

function closing({ raw }: FastifyReply): AbortSignal {
  const gone = new AbortController();
  onceOver(raw, () => gone.abort());
  return gone.signal;
}

function cursor(number: number): string {
  return `${RUN}.${number}`;
}

function numberOf(given: string | undefined): number {
  const match = /^([\w-]+)\.(\d{1,15})$/.exec(given ?? '');
  return match?.[1] === RUN ? Number(match[2]) : 0;
}
