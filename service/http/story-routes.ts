import { z } from 'zod';
import { Fault } from '../../events/fault.ts';
import { formatPosition } from '../../log/port.ts';
import { attemptState } from '../../projections/attempts.ts';
import { vmStatus } from '../../projections/vms.ts';
import { Histories } from '../reads/history.ts';
import { type Part, partOfAttempt, partOfVm, positionIn, unknownAttempt } from '../reads/parts.ts';
import { entryText, PAGE_CHARACTERS_MAX } from './ledger-route.ts';
import { label } from './read-routes.ts';
import type { App, Service } from './service.ts';
import * as shapes from './shapes.ts';

/** The history of one VM or attempt in pages, because a history can be as long as the ledger. */

const config = { needs: ['read'] as const };
const { problems } = shapes;

export function addHistory(app: App, service: Service): void {
  const histories = new Histories();
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
    async ({ params, query: { ledger, at, limit, after } }, reply) => {
      const reads = label(reply, service, ledger);
      const { part, vm } = partOfVm(reads, params.vm);
      // One entry can produce several items, so a page is addressed by item index instead of position.
      const from = after === undefined ? 0 : numberOf(after, 'after');
      const found = await histories.page(part, { vm, at }, from, limit);
      const { items } = found;
      const next = found.next === null ? null : String(found.next);
      return ledger === 'demo' ? { items, next, ledger } : { items, next };
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
    async ({ params: { id }, query: { ledger, limit, after } }, reply) => {
      const reads = label(reply, service, ledger);
      const part = partOfAttempt(reads, id);
      const from = after === undefined ? 1 : positionIn([part], after, 'after').sequence + 1;
      const { texts, next } = await entriesOf(part, id, from, limit);
      const found = attemptState(part.db, id);
      if (found === null) throw unknownAttempt(id);
      const name = vmStatus(part.db, found.state.attempt.vm)[0]?.name ?? null;
      const rest = { next, ...(ledger === 'demo' ? { ledger } : {}), state: found.state, timers: found.timers, name };
      return reply
        .type('application/json')
        .serializer((body) => String(body))
        .send(`{"items":[${texts.join(',')}],${JSON.stringify(rest).slice(1)}` as never);
    },
  );
}

/** Reads one page of an attempt's entries. `next` is the last position of the page, or null on the last page. */
async function entriesOf(part: Part, migration: string, from: number, limit: number) {
  const texts: string[] = [];
  let characters = 0;
  let last = from - 1;
  for await (const stored of part.ledger.readMigration(migration, from)) {
    if (texts.length === limit || characters > PAGE_CHARACTERS_MAX) {
      return { texts, next: formatPosition({ partition: part.partition, sequence: last }) };
    }
    texts.push(entryText(part, stored));
    characters += stored.text.length;
    last = stored.sequence;
  }
  return { texts, next: null };
}

function numberOf(text: string, field: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new Fault(
    'BAD_REQUEST',
    `${field}: is not a position returned by this service`,
    'Use the `next` of a page, or omit the field.',
  );
}
