import type { FastifyInstance, RawServerDefault } from 'fastify';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { Logger } from 'pino';
import { Fault } from '../../events/fault.ts';
import type { Agents } from '../engine/agents.ts';
import type { Engine } from '../engine/engine.ts';
import type { Metrics } from '../metrics.ts';
import type { Reads } from '../reads/parts.ts';

/** What the routes answer from. */
export type Service = {
  readonly engine: Engine;
  readonly agents: Agents;
  readonly metrics: Metrics;
  /** How long a stream of server-sent events lasts at most. */
  readonly streamMs: number;
  /** The ledger of the shipped recordings; null where there is none. */
  readonly demo: () => Reads | null;
};

export type App = FastifyInstance<RawServerDefault, IncomingMessage, ServerResponse, Logger, ZodTypeProvider>;

export type Which = 'live' | 'demo';

/** @throws Fault NO_DEMO. */
export function readsOf({ engine, demo }: Service, which: Which): Reads {
  if (which === 'live') return engine.parts;
  const found = demo();
  if (found === null)
    throw new Fault('NO_DEMO', 'there is no demo ledger here', 'It is made where the live one is empty.');
  return found;
}

/** A page, and whose it is. `next` is the last item's key, where there may be more behind it. */
export function list<T>(items: T[], which: Which, limit: number, keyOf: (item: T) => string) {
  const last = items.length < limit ? undefined : items.at(-1);
  const next = last === undefined ? null : keyOf(last);
  return which === 'demo' ? { items, next, ledger: 'demo' as const } : { items, next };
}
