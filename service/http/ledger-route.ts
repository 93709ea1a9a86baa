import { z } from 'zod';
import { formatPosition, type Position, type StoredEntry } from '../../log/port.ts';
import { type Part, positionIn, type Reads } from '../reads/parts.ts';
import { label } from './read-routes.ts';
import type { App, Service } from './service.ts';
import { EntryShape, LIMIT_MAX, LedgerQuery, listOf, problems } from './shapes.ts';

/** `GET /v1/ledger`: the entries as they were hashed, for whoever copies or checks them. */

/** A page also ends here, however few items that is. */
export const PAGE_CHARACTERS_MAX = 4 * 1024 * 1024;

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
      const { texts, next } = await page(reads, firstOf(reads, from, after), limit);
      const mark = ledger === 'demo' ? ',"ledger":"demo"' : '';
      return reply
        .type('application/json')
        .serializer((body) => String(body))
        .send(`{"items":[${texts.join(',')}],"next":${JSON.stringify(next)}${mark}}` as never);
    },
  );
}

/** An item of a page, as JSON. The entry's text is JSON as it was hashed: nobody needs to parse and write it anew. */
export function entryText(
  { partition }: Pick<Part, 'partition'>,
  { sequence, previous, hash, text }: StoredEntry,
): string {
  const position = formatPosition({ partition, sequence });
  return `{"position":"${position}","previous":"${previous}","hash":"${hash}","entry":${text}}`;
}

function firstOf(parts: Reads, from: string | undefined, after: string | undefined): Position {
  if (from !== undefined) return positionIn(parts, from, 'from');
  if (after === undefined) return { partition: 0, sequence: 1 };
  const { partition, sequence } = positionIn(parts, after, 'after');
  return { partition, sequence: sequence + 1 };
}

/** Partition after partition. `next`: the last position on the page, where there is more. */
async function page(parts: Reads, first: Position, limit: number): Promise<{ texts: string[]; next: string | null }> {
  const texts: string[] = [];
  let characters = 0;
  for (const part of parts) {
    if (part.partition < first.partition) continue;
    const from = part.partition === first.partition ? Math.max(1, first.sequence) : 1;
    for await (const stored of part.ledger.read(part.partition, from)) {
      if (texts.length === limit || characters > PAGE_CHARACTERS_MAX) {
        return { texts, next: formatPosition({ partition: part.partition, sequence: stored.sequence - 1 }) };
      }
      texts.push(entryText(part, stored));
      characters += stored.text.length;
    }
  }
  return { texts, next: null };
}
