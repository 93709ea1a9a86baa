import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { migrationView } from '../../projections/attempts.ts';
import { vmStatus } from '../../projections/vms.ts';
import { listDeadLetters, listHosts, listMigrations, listVms } from '../reads/lists.ts';
import { migrationAt, vmAt } from '../reads/past.ts';
import { partOfAttempt, partOfVm, type Reads, unknownAttempt, unknownVm } from '../reads/parts.ts';
import { type App, list, readsOf, type Service, type Which } from './service.ts';
import * as shapes from './shapes.ts';

/** Read routes: from the projections and the ledger, of the live or the demo ledger, now or at a past time. */

const config = { needs: ['read'] as const };
const { problems } = shapes;

export function addVmReads(app: App, service: Service): void {
  app.get(
    '/v1/vms',
    {
      config,
      schema: {
        summary: 'VMs with their hosts and lock holders',
        tags: ['reads'],
        querystring: shapes.ListQuery,
        response: { 200: shapes.listOf(shapes.VmShape), ...problems(400, 401, 403, 404, 422) },
      },
    },
    async ({ query: { ledger, limit, after, at } }, reply) => {
      const reads = label(reply, service, ledger);
      const items = await listVms(reads, { limit, after }, at);
      return list(items, ledger, limit, ({ vm }) => vm);
    },
  );
  app.get(
    '/v1/vms/:vm',
    {
      config,
      schema: {
        summary: 'One VM',
        tags: ['reads'],
        params: shapes.VmParams,
        querystring: shapes.OneQuery,
        response: { 200: shapes.VmShape, ...problems(400, 401, 403, 404, 409, 422) },
      },
    },
    async ({ params, query: { ledger, at } }, reply) => {
      const reads = label(reply, service, ledger);
      const { part, vm } = partOfVm(reads, params.vm);
      const now = at === undefined ? vmStatus(part.db, vm)[0] : undefined;
      const found = at === undefined ? now : await vmAt(part, vm, at);
      if (found === null || found === undefined) throw unknownVm(params.vm);
      return found;
    },
  );
}

export function addMigrationReads(app: App, service: Service): void {
  app.get(
    '/v1/migrations',
    {
      config,
      schema: {
        summary: 'Attempts with state, verdict and row',
        tags: ['reads'],
        querystring: shapes.ListQuery.extend({
          vm: z.string().min(1).max(255).optional().describe('a UUID or a name'),
        }),
        response: { 200: shapes.listOf(shapes.MigrationShape), ...problems(400, 401, 403, 404, 422) },
      },
    },
    async ({ query: { ledger, limit, after, at, vm } }, reply) => {
      const reads = label(reply, service, ledger);
      const { items, isCut } = await listMigrations(reads, { limit, after }, { vm, at });
      return list(items, ledger, isCut ? items.length : limit, ({ migration }) => migration);
    },
  );
  app.get(
    '/v1/migrations/:id',
    {
      config,
      schema: {
        summary: 'One attempt',
        tags: ['reads'],
        params: shapes.MigrationParams,
        querystring: shapes.OneQuery,
        response: { 200: shapes.MigrationShape, ...problems(400, 401, 403, 404) },
      },
    },
    async ({ params: { id }, query: { ledger, at } }, reply) => {
      const reads = label(reply, service, ledger);
      const part = partOfAttempt(reads, id);
      const found = at === undefined ? migrationView(part.db, id) : await migrationAt(part, id, at);
      if (found === null) throw unknownAttempt(id);
      return found;
    },
  );
}

export function addSiteReads(app: App, service: Service): void {
  app.get(
    '/v1/dead-letters',
    {
      config,
      schema: {
        summary: 'Refused inputs with the reason',
        tags: ['reads'],
        querystring: shapes.NowQuery,
        response: { 200: shapes.listOf(shapes.DeadLetterShape), ...problems(400, 401, 403, 404) },
      },
    },
    async ({ query: { ledger, limit, after } }, reply) => {
      const reads = label(reply, service, ledger);
      return list(listDeadLetters(reads, { limit, after }), ledger, limit, ({ position }) => position);
    },
  );
  app.get(
    '/v1/hosts',
    {
      config,
      schema: {
        summary: 'Known hosts, their event streams and agents',
        tags: ['reads'],
        querystring: shapes.LedgerQuery,
        response: { 200: shapes.listOf(z.looseObject({ host: z.string() })), ...problems(400, 401, 403, 404) },
      },
    },
    async ({ query: { ledger } }, reply) =>
      list(listHosts(label(reply, service, ledger)), ledger, Number.POSITIVE_INFINITY, () => ''),
  );
}

/** Sets the headers of a read: its ledger, its position and, when newer entries may exist, its age. */
export function label(reply: FastifyReply, service: Service, which: Which): Reads {
  void reply.header('landfall-ledger', which);
  const { ageMs, position } = service.engine;
  if (which === 'live') void reply.header('landfall-position', position);
  if (which === 'live' && ageMs > 0) void reply.header('landfall-age-seconds', Math.ceil(ageMs / 1000));
  return readsOf(service, which);
}
