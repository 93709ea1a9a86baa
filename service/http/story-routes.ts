import { z } from 'zod';
import { replyWithRead } from './read-reply.ts';
import type { App, Service } from './service.ts';
import * as shapes from './shapes.ts';

/** The history of one VM or attempt in pages, because a history can be as long as the ledger. */

const config = { needs: ['read'] as const };
const { problems } = shapes;

export function addHistory(app: App, service: Service): void {
  app.get(
    '/v1/vms/:vm/history',
    {
      config,
      schema: {
        summary: 'The timeline of a VM, oldest first',
        tags: ['reads'],
        params: shapes.VmParams,
        querystring: shapes.ListQuery,
        response: { 200: shapes.listOf(shapes.TimelineShape), ...problems(400, 401, 403, 404, 409, 422) },
      },
    },
    (request, reply) => {
      const { ledger, ...query } = request.query;
      return replyWithRead(service, request, reply, ledger, { kind: 'history', vm: request.params.vm, ...query });
    },
  );
}

export function addEntries(app: App, service: Service): void {
  app.get(
    '/v1/migrations/:id/entries',
    {
      config,
      schema: {
        summary: 'All ledger entries of one attempt, and its current state',
        tags: ['reads'],
        params: shapes.MigrationParams,
        querystring: shapes.NowQuery,
        response: {
          200: shapes
            .listOf(shapes.EntryShape)
            .extend({ state: z.looseObject({}), timers: z.looseObject({}), name: z.string().nullable() }),
          ...problems(400, 401, 403, 404),
        },
      },
    },
    (request, reply) => {
      const { ledger, ...query } = request.query;
      return replyWithRead(service, request, reply, ledger, {
        kind: 'entries',
        migration: request.params.id,
        ...query,
      });
    },
  );
}
