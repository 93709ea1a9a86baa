import { z } from 'zod';
import { replyWithRead } from './read-reply.ts';
import type { App, Service } from './service.ts';
import { EntryShape, LIMIT_MAX, LedgerQuery, listOf, problems } from './shapes.ts';

/** `GET /v1/ledger` returns the exact text of each entry that was hashed, so that a client can copy and verify the chain. */

const Query = LedgerQuery.extend({
  from: z.string().max(64).optional().describe('the first position to return; default: the beginning'),
  after: z.string().max(64).optional().describe('the last position that the client already has'),
  limit: z.coerce.number().int().min(1).max(LIMIT_MAX).default(100),
});

export function addLedger(app: App, service: Service): void {
  app.get(
    '/v1/ledger',
    {
      config: { needs: ['read'] },
      schema: {
        summary: 'The entries of the ledger with their hashes, oldest first',
        tags: ['reads'],
        querystring: Query,
        response: { 200: listOf(EntryShape), ...problems(400, 401, 403, 404) },
      },
    },
    (request, reply) => {
      const { ledger, ...query } = request.query;
      return replyWithRead(service, request, reply, ledger, { kind: 'ledger', ...query });
    },
  );
}
