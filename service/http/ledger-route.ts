import { z } from 'zod';
import { formatPosition, type Position, type StoredEntry } from '../../log/port.ts';
import { type Part, positionIn, type Reads } from '../reads/parts.ts';
import { label } from './read-routes.ts';
import type { App, Service } from './service.ts';
import { EntryShape, LIMIT_MAX, LedgerQuery, listOf, problems } from './shapes.ts';

/** `GET /v1/ledger` returns the exact text of each entry that was hashed, so that a client can copy and verify the chain. */

/** The longest page in characters. A page ends at this length even if it has fewer items than `limit`. */
export const PAGE_CHARACTERS_MAX = 4 * 1024 * 1024;

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

/** One item of a page as JSON. The stored text of the entry is copied without parsing, because the hash covers this text. */
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

/** Reads the partitions one after the other. `next` is the last position of the page, or null at the end of the ledger. */
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
