import type { FastifyRequest } from 'fastify';
import { Fault } from '../../events/fault.ts';
import type { App } from './service.ts';

/** Limits and checks of connections. */

/** The requests of one connection that are not answered yet. Only a client that pipelines has more than one. */
const UNANSWERED_MAX = 64;

/** Refuses requests of a connection that has too many unanswered ones, so that their replies do not fill the memory. */
export function limitPipelining(app: App): void {
  const unanswered = new WeakMap<object, number>();
  app.addHook('onRequest', async ({ raw: { socket } }, reply) => {
    const before = unanswered.get(socket) ?? 0;
    unanswered.set(socket, before + 1);
    reply.raw.once('close', () => unanswered.set(socket, (unanswered.get(socket) ?? 1) - 1));
    if (before < UNANSWERED_MAX) return;
    const remedy = 'Read the replies before you send more requests on this connection.';
    throw new Fault('OVERLOADED', 'too many requests of this connection are not answered yet', remedy);
  });
}

/** HTTP/1.1 requires the header. @throws Fault BAD_REQUEST. */
export async function requireHostHeader({ raw, headers }: FastifyRequest): Promise<void> {
  if (headers.host !== undefined || raw.httpVersion === '1.0') return;
  throw new Fault(
    'BAD_REQUEST',
    'the request has no Host header',
    'Send the header Host with the address of the service.',
  );
}
