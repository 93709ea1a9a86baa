import { z } from 'zod';
import { replyWithRead } from './read-reply.ts';
import type { App, Service } from './service.ts';
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
    (request, reply) => {
      const { ledger, ...query } = request.query;
      return replyWithRead(service, request, reply, ledger, { kind: 'vms', ...query });
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
    (request, reply) => {
      const { ledger, at } = request.query;
      return replyWithRead(service, request, reply, ledger, { kind: 'vm', vm: request.params.vm, at });
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
    (request, reply) => {
      const { ledger, ...query } = request.query;
      return replyWithRead(service, request, reply, ledger, { kind: 'migrations', ...query });
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
    (request, reply) => {
      const { ledger, at } = request.query;
      return replyWithRead(service, request, reply, ledger, { kind: 'migration', migration: request.params.id, at });
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
    (request, reply) => {
      const { ledger, ...query } = request.query;
      return replyWithRead(service, request, reply, ledger, { kind: 'dead-letters', ...query });
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
    (request, reply) => replyWithRead(service, request, reply, request.query.ledger, { kind: 'hosts' }),
  );
}
