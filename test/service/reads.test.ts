import { expect, it, vi } from 'vitest';
import { z } from 'zod';
import { MigrationShape, TimelineShape, VmShape } from '../../service/http/shapes.ts';
import { commandJson } from '../support/command-line.ts';
import { declared, event, returned, serve, started, VM, workOff, textOf, ledgerOf, type Served } from './harness.ts';

const vmNumber = (number: number) => `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`;

it('returns lists in pages', async () => {
  const service = await serve();
  await service.post(Array.from({ length: 25 }, (_, number) => declared(vmNumber(number))));
  await service.post(Array.from({ length: 25 }, (_, number) => started(`m-${number}`, vmNumber(number))));
  for (const [path, key] of [
    ['/v1/vms', 'vm'],
    ['/v1/migrations', 'migration'],
    ['/v1/ledger', 'position'],
  ] as const) {
    const seen: unknown[] = [];
    for (let next: unknown = ''; next !== null; ) {
      const { body } = await service.get(
        `${path}?limit=10${next === '' ? '' : `&after=${encodeURIComponent(textOf(next))}`}`,
      );
      seen.push(...[...body.items].map((item) => item[key]));
      next = body['next'];
    }
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen).toHaveLength(path === '/v1/ledger' ? 50 : 25);
  }
});

it('ends a page of large attempts at the size limit', async () => {
  const service = await serve();
  const COUNT = 100;
  const error = { kind: 'libvirt', message: 'x'.repeat(60_000) };
  for (let number = 0; number < COUNT; number += 1) {
    const [vm, migration] = [vmNumber(number), `m-${number}`];
    const failed = event('migration.returned', { migration, ok: false, error }, { subject: vm });
    expect((await service.post([started(migration, vm), failed])).status).toBe(202);
  }
  const first = (await service.get('/v1/migrations?limit=1000')).body;
  expect(JSON.stringify(first).length).toBeLessThan(16 * 1024 * 1024);
  expect([first.items.length < COUNT, typeof first['next']]).toEqual([true, 'string']);
  const seen = first.items.map((item) => item['migration']);
  for (let { next } = first as { next?: unknown }; next !== null; ) {
    const { body } = await service.get(`/v1/migrations?limit=1000&after=${textOf(next)}`);
    seen.push(...body.items.map((item) => item['migration']));
    next = body['next'];
  }
  expect(seen).toEqual(Array.from({ length: COUNT }, (_, number) => `m-${number}`));
});

it('returns the same items as the command line', async () => {
  const service = await serve();
  await service.post([declared(), started('m-1'), returned('m-1')]);
  await workOff(service);
  const vms = (await service.get('/v1/vms')).body;
  const migrations = (await service.get('/v1/migrations')).body;
  const history = (await service.get(`/v1/vms/${VM}/history`)).body;
  z.array(VmShape.strict()).parse(vms.items);
  z.array(MigrationShape.strict()).parse(migrations.items);
  z.array(TimelineShape.strict()).parse(history.items);
  await service.stop();
  const db = ['--db', `${service.folder}/ledger.db`];
  expect(await commandJson(['status', ...db])).toEqual(vms.items);
  expect(await commandJson(['migrations', ...db])).toEqual(migrations.items);
  expect(await commandJson(['history', VM, ...db])).toEqual(history.items);
});

it('answers reads at a past time', async () => {
  const service = await serve();
  await service.post([declared(), started('m-1')]);
  await new Promise((resolve) => setTimeout(resolve, 5));
  const before = Date.now();
  await new Promise((resolve) => setTimeout(resolve, 5));
  await service.post(returned('m-1'));
  await workOff(service);
  for (const path of ['/v1/migrations/m-1', '/v1/migrations']) {
    const { body } = await service.get(`${path}?at=${before}`);
    expect(body.items?.[0] ?? body).toMatchObject({ state: 'Migrating', verdicts: [] });
  }
  for (const path of [`/v1/vms/${VM}`, '/v1/vms']) {
    const { body } = await service.get(`${path}?at=${new Date(before).toISOString()}`);
    expect(body.items?.[0] ?? body).toMatchObject({ migration: 'm-1', certainty: 'provisional' });
  }
  // `Date` parses this text, but it is not an ISO 8601 time.
  for (const at of ['yesterday', '1', '2026', 'Mon 7', 'vm1 2026-11-23', '2026-02-30', '2026-11-23T02:14:00Zx'])
    expect(await service.get(`/v1/vms?at=${encodeURIComponent(at)}`)).toMatchObject({
      status: 400,
      body: { code: 'BAD_REQUEST', message: expect.stringMatching(/^querystring.at: is not a time/) },
    });
  expect((await service.get('/v1/vms/nobody')).body['code']).toBe('UNKNOWN_VM');
  expect((await service.get('/v1/vms?ledger=demo')).body['code']).toBe('NO_DEMO');
  expect((await service.get('/v1/migrations?after=m-77')).status).toBe(400);
});

it('waits for a position, and rejects an invalid one', async () => {
  const service = await serve();
  await service.post([declared(), started('m-1')]);
  const ask = (position: string, path = '/v1/vms') => service.get(path, { 'landfall-position': position });
  expect((await ask('0:2')).status).toBe(200);
  expect(await ask('0:3')).toMatchObject({ status: 503, body: { code: 'BEHIND' } });
  for (const junk of ['junk', '3', '0:2,junk', '7:1', '0:-1', '0:9999999999999999999'])
    expect([junk, await ask(junk)]).toMatchObject([junk, { status: 400, body: { code: 'BAD_REQUEST' } }]);
  for (const path of ['/healthz', '/readyz', '/metrics', '/v1/openapi.json'])
    for (const position of ['junk', '0:3']) expect((await ask(position, path)).status).toBe(200);
});

it('returns ledger entries whose texts match their hashes', async () => {
  const service = await serve();
  await service.post([declared(), started('m-1')]);
  const { body } = await service.get('/v1/ledger?from=0:2');
  expect(body.items).toMatchObject([{ position: '0:2', entry: { vm: VM } }]);
  const stored = ledgerOf(service).entryAt(2);
  expect(JSON.stringify(body.items[0]?.['entry'])).toBe(stored?.text);
  expect((await service.get('/v1/ledger?from=7')).status).toBe(400);
});

it('changes settings at run time by a ledger entry', async () => {
  const service = await serve({ recheckIntervalSeconds: 7 });
  expect((await service.get('/v1/config')).body).toMatchObject({ recheckIntervalSeconds: 7 });
  const changed = await service.send('PUT', '/v1/config?operator=ann', { recheckTimeoutSeconds: 60 });
  expect(changed).toMatchObject({ status: 200, body: { recheckIntervalSeconds: 7, recheckTimeoutSeconds: 60 } });
  expect(await service.send('PUT', '/v1/config', { recheckIntervalSeconds: 90 })).toMatchObject({
    status: 422,
    body: { code: 'BAD_CONFIGURATION' },
  });
  expect((await service.send('PUT', '/v1/config', { colour: 1 })).status).toBe(400);
  const { body } = await service.get('/v1/ledger');
  expect([...body.items].map((item) => item['entry']?.['cause']?.['data']?.['operator'])).toEqual([
    'start-up settings',
    'ann',
    'operator',
  ]);
});

it('lets an operator settle only contested attempts', async () => {
  const service = await serve();
  await service.post([declared(), started('m-1')]);
  const resolution = { host: 'host-a', reason: 'looked', attest: true };
  expect(await service.send('POST', '/v1/migrations/m-1/resolution', resolution)).toMatchObject({
    status: 409,
    body: { code: 'NOT_CONTESTED' },
  });
  expect((await service.send('POST', '/v1/migrations/m-2/resolution', resolution)).status).toBe(404);
  await service.post(returned('m-1'));
  await workOff(service);
  expect((await service.get('/v1/migrations/m-1')).body).toMatchObject({ settled: true });
  const late = await service.send('POST', '/v1/migrations/m-1/resolution', { ...resolution, operator: 'ann' });
  expect(late).toMatchObject({
    status: 409,
    body: { code: 'NOT_CONTESTED', message: expect.stringContaining('rolled back') },
  });
  // The ledger records the operator of the refused resolution.
  const letters = (await service.get('/v1/dead-letters')).body.items;
  expect(letters.map((letter) => [letter['code'], letter['type']])).toEqual([
    ['NOT_CONTESTED', 'landfall.migration.resolved.v1'],
    ['NOT_CONTESTED', 'landfall.migration.resolved.v1'],
  ]);
  const { body } = await service.get('/v1/ledger?limit=1000');
  expect(body.items.at(-1)?.['entry']?.['cause']?.['data']).toMatchObject({ operator: 'ann', reason: 'looked' });
  expect((await service.send('POST', '/v1/migrations/m-1/resolution', { host: 'host-a' })).status).toBe(400);
});

/** Waits until an attempt is contested because no host answers. */
async function contested(service: Served, questionLimitSeconds: number): Promise<void> {
  const short = { recheckTimeoutSeconds: 0.2, recheckIntervalSeconds: 0.2, questionLimitSeconds };
  await service.send('PUT', '/v1/config', short);
  await service.post([declared(), started('m-1'), returned('m-1')]);
  await vi.waitFor(
    async () => expect((await service.get('/v1/migrations/m-1')).body).toMatchObject({ contested: true }),
    { timeout: 20_000 },
  );
}

it('asks the host that an operator names before it settles', async () => {
  const service = await serve();
  await contested(service, 2);
  const resolution = { reason: 'looked', attest: true };
  const send = (subject: object) =>
    service.send('POST', '/v1/migrations/m-1/resolution', { ...resolution, ...subject });
  const answered = async () => {
    const { items } = (await service.get('/v1/hosts/host-b/work')).body;
    const questions = [...items].map((item) => textOf(item['question']?.['question']));
    const newest = questions.toSorted((a, b) => Number(a.slice(5)) - Number(b.slice(5))).at(-1);
    expect(newest).toBeDefined();
    await service.post(
      event('host.answered', { question: newest, host: 'host-b', ok: true, domain: null }, { subject: VM }),
    );
  };
  const [refused] = await Promise.all([
    send({ host: 'host-b' }),
    new Promise((resolve) => setTimeout(resolve, 200)).then(answered),
  ]);
  expect(refused).toMatchObject({ status: 422, body: { code: 'HOST_LACKS_GUEST' } });
});

it('settles a stopped guest, a silent host and a stuck step', async () => {
  const service = await serve();
  await contested(service, 0.2);
  const send = (subject: object) =>
    service.send('POST', '/v1/migrations/m-1/resolution', { reason: 'looked', attest: true, ...subject });
  expect(await send({ host: 'host-a', stopped: true })).toMatchObject({ status: 400 });
  const step = { command: 'm-1/v1/fail-call' };
  expect(await send(step)).toMatchObject({ status: 409, body: { code: 'STEP_NOT_OPEN' } });
  expect(await send({ command: 'm-1/v1/failed-to-migrate' })).toMatchObject({ status: 200 });
  expect(await send(step)).toMatchObject({ status: 200 });
  expect(await send({ host: 'host-b' })).toMatchObject({
    status: 200,
    body: { contested: false, verdict: { host: 'host-b', certainty: 'proven' } },
  });
});
