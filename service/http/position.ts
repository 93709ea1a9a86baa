import type { FastifyRequest, RouteOptions } from 'fastify';
import { z } from 'zod';
import { Fault } from '../../events/fault.ts';
import { positionIn } from '../reads/parts.ts';
import type { Service } from './service.ts';
import { Problem } from './shapes.ts';

/** The header `landfall-position`: a read waits until its instance has reached this position, so clients can read their own writes. */

/** The longest wait of a read for its position. */
const REACHED_MS = 5000;

const Headers = z.looseObject({
  'landfall-position': z
    .string()
    .optional()
    .describe(
      'a position that a reply gave: what is read is as of then or later, or 503 BEHIND, after 5 s where several instances share the work',
    ),
});

/** Adds the header to every read route. Health routes do not wait. */
export function awaitPosition(service: Service, route: RouteOptions): void {
  const { schema = {}, config } = route;
  const isRead = route.method === 'GET' || route.method === 'HEAD';
  if (!isRead || config?.needs === 'nothing' || schema.tags?.includes('health') === true) return;
  const response = { 503: Problem, ...(schema.response as Record<number, z.ZodType> | undefined) };
  route.schema = { ...schema, headers: Headers, response };
  route.preHandler = (request: FastifyRequest) => requireReached(service, request);
}

/** @throws Fault BEHIND after the longest wait, BAD_REQUEST when the text is not a position of this ledger. */
async function requireReached({ engine }: Service, { headers }: FastifyRequest): Promise<void> {
  const position = headers['landfall-position'];
  if (typeof position !== 'string' || position === '') return;
  for (const each of position.split(',')) positionIn(engine.parts, each, 'landfall-position');
  if (await engine.reached(position, REACHED_MS)) return;
  const message = `landfall-position: ${JSON.stringify(position.slice(0, 100))} is not here yet; this instance is at ${engine.position}`;
  throw new Fault('BEHIND', message, 'Send the request again, or send it to another instance.');
}
