import type { FastifyRequest, RouteOptions } from 'fastify';
import { z } from 'zod';
import { Fault } from '../../events/fault.ts';
import { positionIn } from '../reads/parts.ts';
import type { Service } from './service.ts';
import { Problem } from './shapes.ts';

/** Who names a position that it was given reads from there on or later, whichever instance it asks. */

/** How long a read waits for it. */
const REACHED_MS = 5000;

const Headers = z.looseObject({
  'landfall-position': z
    .string()
    .optional()
    .describe(
      'a position that a reply gave: what is read is as of then or later, or 503 BEHIND, after 5 s where several instances share the work',
    ),
});

/** Every read does so, and describes it; whoever looks after the process gets its answer at once. */
export function awaitPosition(service: Service, route: RouteOptions): void {
  const { schema = {}, config } = route;
  const isRead = route.method === 'GET' || route.method === 'HEAD';
  if (!isRead || config?.needs === 'nothing' || schema.tags?.includes('health') === true) return;
  const response = { 503: Problem, ...(schema.response as Record<number, z.ZodType> | undefined) };
  route.schema = { ...schema, headers: Headers, response };
  route.preHandler = (request: FastifyRequest) => requireReached(service, request);
}

/** @throws Fault BEHIND, BAD_REQUEST where it is no position of this ledger. */
async function requireReached({ engine }: Service, { headers }: FastifyRequest): Promise<void> {
  const position = headers['landfall-position'];
  if (typeof position !== 'string' || position === '') return;
  for (const each of position.split(',')) positionIn(engine.parts, each, 'landfall-position');
  if (await engine.reached(position, REACHED_MS)) return;
  const message = `landfall-position: ${JSON.stringify(position.slice(0, 100))} is not here yet; this is ${engine.position}`;
  throw new Fault('BEHIND', message, 'Ask again, or ask another instance.');
}
