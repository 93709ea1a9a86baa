import { z } from 'zod';
import { formatPosition, type StoredEntry } from '../../log/port.ts';
import { label, sequenceOf } from './read-routes.ts';
import type { App, Service } from './service.ts';
import { EntryShape, LIMIT_MAX, LedgerQuery, listOf, problems } from './shapes.ts';

/** `GET /v1/ledger`: the entries as they were hashed, for whoever copies or checks them. */

/** A page also ends here, however few entries that is. */
const PAGE_CHARACTERS_MAX = 4 * 1024 * 1024;

const Query = LedgerQuery.extend({
  from: z.string().max(64).optional().describe('the first position wanted; without it the beginning'),
  after: z.string().max(64).optional().describe('the last position that is had already'),
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
    async ({ query: { ledger, from, after, limit } }, reply) => {
      const reads = label(reply, service, ledger);
      const first =
        from !== undefined ? sequenceOf(from, 'from') : after !== undefined ? sequenceOf(after, 'after') + 1 : 1;
      const { texts, last } = await page(reads.ledger.read(0, Math.max(1, first)), limit);
      const { sequence: head } = await reads.ledger.head(0);
      const next = last === null || last >= head ? null : formatPosition({ partition: 0, sequence: last });
      const mark = ledger === 'demo' ? ',"ledger":"demo"' : '';
      // The texts are JSON as they were hashed: nobody needs to parse and write them anew.
      return reply
        .type('application/json')
        .serializer((body) => String(body))
        .send(`{"items":[${texts.join(',')}],"next":${JSON.stringify(next)}${mark}}` as never);
    },
  );
}

async function page(
  entries: AsyncIterable<StoredEntry>,
  limit: number,
): Promise<{ texts: string[]; last: number | null }> {
  const texts: string[] = [];
  let characters = 0;
  let last: number | null = null;
  for await (const { partition, sequence, previous, hash, text } of entries) {
    const position = formatPosition({ partition, sequence });
    texts.push(`{"position":${JSON.stringify(position)},"previous":"${previous}","hash":"${hash}","entry":${text}}`);
    characters += text.length;
    last = sequence;
    if (texts.length === limit || characters > PAGE_CHARACTERS_MAX) break;
  }
  return { texts, last };
}
