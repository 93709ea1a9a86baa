import type { FastifyInstance, RawServerDefault } from 'fastify';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { Logger } from 'pino';
import { Fault } from '../../events/fault.ts';
import type { Agents } from '../engine/agents.ts';
import type { Engine } from '../engine/engine.ts';
import type { Metrics } from '../metrics.ts';
import type { Reads, Which } from '../reads/parts.ts';
import type { ReadQueue } from '../reads/read-queue.ts';

/** The parts of the service that the routes use. */
export type Service = {
  readonly engine: Engine;
  readonly agents: Agents;
  readonly metrics: Metrics;
  readonly readQueue: ReadQueue;
  /** The longest duration of a server-sent event stream, in milliseconds. */
  readonly streamMs: number;
  /** The limit of open requests for work: long polls and event streams of all agents. */
  readonly workRequestsMax: number;
  /** The demo ledger with the shipped recordings; null if the service has none. */
  readonly demo: () => Reads | null;
};

export type App = FastifyInstance<RawServerDefault, IncomingMessage, ServerResponse, Logger, ZodTypeProvider>;

/** @throws Fault NO_DEMO. */
export function readsOf({ engine, demo }: Service, which: Which): Reads {
  if (which === 'live') return engine.parts;
  const found = demo();
  if (found === null)
    throw new Fault(
      'NO_DEMO',
      'this service has no demo ledger',
      'Start a service with an empty ledger to create one.',
    );
  return found;
}
