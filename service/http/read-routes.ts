import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { Fault } from '../../events/fault.ts';
import { formatPosition } from '../../log/port.ts';
import { attemptState, migrations, migrationView } from '../../projections/attempts.ts';
import { deadLetters, hostRecords } from '../../projections/site.ts';
import { timelineOf } from '../../projections/timeline.ts';
import { vmStatus, vmsNamed } from '../../projections/vms.ts';
import { migrationAt, readAt, vmAt } from './past.ts';
import { type App, list, type Reads, readsOf, type Service, type Which } from './service.ts';
import * as shapes from './shapes.ts';

/** Reads: from the projections and the ledger, live or of the demo, now or as of a moment of the past. */

const config = { needs: ['read'] as const };
const { problems } = shapes;

export function addVmReads(app: App, service: Service): void {
  app.get(
    '/v1/vms',
    {
      config,
      schema: {
        summary: 'Where VMs are and who holds their locks',
        tags: ['reads'],
        querystring: shapes.ListQuery,
        response: { 200: shapes.listOf(shapes.VmShape), ...problems(400, 401, 403, 404, 422) },
      },
    },
    async ({ query: { ledger, limit, after, at } }, reply) => {
      const reads = label(reply, service, ledger);
      const page = { limit, ...(after === undefined ? {} : { after: after.toLowerCase() }) };
      const items = await readAt(reads, at, (db) => vmStatus(db, undefined, page));
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
      const vm = uuidOf(reads, params.vm);
      const found = at === undefined ? vmStatus(reads.db, vm)[0] : await vmAt(reads, vm, at);
      if (found === null || found === undefined) throw unknownVm(params.vm);
      return found;
    },
  );
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
      const vm = uuidOf(reads, params.vm);
      const all = await timelineOf(reads.ledger.readVm(vm), vm);
      const until = at ?? Number.POSITIVE_INFINITY;
      // One entry may tell several things, so a page ends at an index.
      const from = after === undefined ? 0 : numberOf(after, 'after');
      const items = all.filter((item) => Date.parse(item.time) <= until).slice(from, from + limit);
      return list(items, ledger, limit, () => String(from + items.length));
    },
  );
}

export function addMigrationReads(app: App, service: Service): void {
  app.get(
    '/v1/migrations',
    {
      config,
      schema: {
        summary: 'Every attempt: state, verdict, row',
        tags: ['reads'],
        querystring: shapes.ListQuery.extend({
          vm: z.string().min(1).max(255).optional().describe('a UUID or a name'),
        }),
        response: { 200: shapes.listOf(shapes.MigrationShape), ...problems(400, 401, 403, 404, 422) },
      },
    },
    async ({ query: { ledger, limit, after, at, vm } }, reply) => {
      const reads = label(reply, service, ledger);
      const items = await readAt(reads, at, (db) => {
        if (after !== undefined && attemptState(db, after) === null) {
          throw new Fault(
            'BAD_REQUEST',
            `after: there is no attempt ${JSON.stringify(after)}`,
            'Give the `next` of a page.',
          );
        }
        return migrations(db, vm, { limit, ...(after === undefined ? {} : { after }) });
      });
      return list(items, ledger, limit, ({ migration }) => migration);
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
      const found = at === undefined ? migrationView(reads.db, id) : await migrationAt(reads, id, at);
      if (found === null) throw unknownAttempt(id);
      return found;
    },
  );
  app.get(
    '/v1/migrations/:id/entries',
    {
      config,
      schema: {
        summary: 'All that the ledger has of one attempt, with its present state: what an explanation is made from',
        tags: ['reads'],
        params: shapes.MigrationParams,
        querystring: shapes.LedgerQuery,
        response: {
          200: shapes
            .listOf(shapes.EntryShape)
            .extend({ state: z.looseObject({}), timers: z.looseObject({}), name: z.string().nullable() }),
          ...problems(400, 401, 403, 404),
        },
      },
    },
    async ({ params: { id }, query: { ledger } }, reply) => {
      const reads = label(reply, service, ledger);
      const found = attemptState(reads.db, id);
      if (found === null) throw unknownAttempt(id);
      const stored = await Array.fromAsync(reads.ledger.readMigration(id));
      const items = stored.map(({ partition, sequence, previous, hash, entry }) => ({
        position: formatPosition({ partition, sequence }),
        previous,
        hash,
        entry,
      }));
      const name = vmStatus(reads.db, found.state.attempt.vm)[0]?.name ?? null;
      return {
        ...list(items, ledger, Number.POSITIVE_INFINITY, () => ''),
        state: found.state,
        timers: found.timers,
        name,
      };
    },
  );
}

export function addSiteReads(app: App, service: Service): void {
  app.get(
    '/v1/dead-letters',
    {
      config,
      schema: {
        summary: 'Inputs that were refused, and why',
        tags: ['reads'],
        querystring: shapes.NowQuery,
        response: { 200: shapes.listOf(shapes.DeadLetterShape), ...problems(400, 401, 403, 404) },
      },
    },
    async ({ query: { ledger, limit, after } }, reply) => {
      const { db } = label(reply, service, ledger);
      if (after !== undefined) sequenceOf(after, 'after');
      return list(
        deadLetters(db, { limit, ...(after === undefined ? {} : { after }) }),
        ledger,
        limit,
        ({ position }) => position,
      );
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
      list(hostRecords(label(reply, service, ledger).db), ledger, Number.POSITIVE_INFINITY, () => ''),
  );
}

/** Every read says of what it is and, where the ledger cannot be written just now, how old it may be. */
export function label(reply: FastifyReply, service: Service, which: Which): Reads {
  void reply.header('landfall-ledger', which);
  if (which === 'live' && service.engine.ageMs > 0) {
    void reply.header('landfall-age-seconds', Math.ceil(service.engine.ageMs / 1000));
  }
  return readsOf(service, which);
}

/** The sequence in a position as this service hands it out. @throws Fault BAD_REQUEST naming the field. */
export function sequenceOf(position: string, field: string): number {
  return numberOf(/^0:(\d{1,15})$/.exec(position)?.[1] ?? '', field);
}

function numberOf(text: string, field: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new Fault(
    'BAD_REQUEST',
    `${field}: is no position that this service gave`,
    'Give the `next` of a page, or leave it out.',
  );
}

/** @throws Fault UNKNOWN_VM, AMBIGUOUS. */
function uuidOf({ db }: Reads, vm: string): string {
  const [first, ...others] = vmsNamed(db, vm);
  if (first === undefined) throw unknownVm(vm);
  if (others.length === 0) return first;
  throw new Fault('AMBIGUOUS', `${others.length + 1} VMs have the name ${JSON.stringify(vm)}`, 'Name it by its UUID.');
}

const unknownVm = (vm: string) =>
  new Fault('UNKNOWN_VM', `the ledger knows no VM ${JSON.stringify(vm)}`, 'GET /v1/vms lists those it knows.');
const unknownAttempt = (id: string) =>
  new Fault('NOT_FOUND', `there is no attempt ${JSON.stringify(id)}`, 'GET /v1/migrations lists them.');
