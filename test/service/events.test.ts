import { describe, expect, it } from 'vitest';
import { submissionOf } from '../../service/engine/engine.ts';
import { refusalOfEarlier } from '../../service/reads/earlier.ts';
import { declared, event, returned, serve, type Served, started, VM, workOff, textOf } from './harness.ts';

it('acknowledges an event with its position and a repeat as duplicate', async () => {
  const service = await serve();
  const sent = declared();
  const first = await service.post(sent);
  expect(first).toMatchObject({ status: 202, body: { position: '0:1', duplicate: false, refusal: null } });
  expect(await service.post(sent)).toMatchObject({ status: 202, body: { position: null, duplicate: true } });
  const { body } = await service.get(`/v1/vms/${VM}`);
  expect(body).toMatchObject({ vm: VM, name: 'web', host: 'host-a', asOf: { position: '0:1' } });
});

it('acknowledges a duplicate after the first event is durable', async () => {
  const service = await serve();
  const sent = declared();
  const replies = await Promise.all(Array.from({ length: 20 }, () => service.post(sent)));
  expect(replies.filter(({ body }) => !body['duplicate'])).toHaveLength(1);
  expect(replies.every(({ status }) => status === 202)).toBe(true);
  expect((await service.get('/v1/ledger')).body.items).toHaveLength(1);
});

it('rejects different content under a used event id', async () => {
  const service = await serve();
  const sent = declared();
  await service.post(sent);
  const other = { ...sent, data: { name: 'other', host: null } };
  for (const reply of [await service.post(other), await service.post(other)])
    expect(reply).toMatchObject({ status: 409, body: { code: 'IDENTITY_CONFLICT' } });
  expect((await service.get('/v1/dead-letters')).body.items).toMatchObject([{ code: 'IDENTITY_CONFLICT' }]);
});

it('finds the refusal of a conflicting event for its repeat', async () => {
  const service = await serve();
  const sent = declared();
  const other = { ...sent, data: { name: 'other', host: null } };
  await service.post(sent);
  await service.post(other);
  const refusal = (what: unknown) => refusalOfEarlier(service.engine.parts, submissionOf(what).input);
  expect(refusal(other)).toMatchObject({ code: 'IDENTITY_CONFLICT' });
  expect(refusal(sent)).toBeNull();
});

it.each([
  ['text that is not JSON', '{"specversion":', /not JSON/],
  ['an array instead of an event', '[[]]', /event|specversion/],
  ['an invalid envelope field', JSON.stringify({ ...declared(), id: '' }), /^id: /],
  ['an invalid data field', JSON.stringify(event('vm.declared', { name: 5, host: null })), /^data\.name: /],
  ['an unknown field', JSON.stringify(event('vm.declared', { name: 'a', host: null, colour: 'red' })), /colour/],
  ['an unknown type', JSON.stringify(event('vm.painted', {})), /^type: /],
  ['an invalid VM id', JSON.stringify({ ...declared(), subject: 'vm1' }), /^subject: /],
])('names the invalid field: %s', async (_name, body, message) => {
  const service = await serve();
  const response = await fetch(`${service.url}/v1/events`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  });
  expect(response.status).toBe(400);
  expect(((await response.json()) as { message: string }).message).toMatch(message);
});

it('rejects a whole batch and names its malformed events', async () => {
  const service = await serve();
  const batch = [declared(), { ...declared(), subject: 'x' }, event('vm.declared', {})];
  const bad = await service.post(batch, { 'content-type': 'application/cloudevents-batch+json' });
  expect(bad).toMatchObject({ status: 400, body: { code: 'BAD_BATCH' } });
  expect(bad.body.errors).toMatchObject([
    { index: 1, code: 'BAD_SUBJECT' },
    { index: 2, code: 'BAD_EVENT' },
  ]);
  expect((await service.get('/readyz')).body['position']).toBe('0:0');
  const good = await service.post([declared(), started('m-1'), returned('m-1')]);
  expect(good).toMatchObject({ status: 202, body: { next: null } });
  expect([...good.body.items].map((item) => item['position'])).toEqual(['0:1', '0:2', '0:3']);
});

it('accepts the valid events of a batch and names the refused ones', async () => {
  const service = await serve();
  const reply = await service.post([declared(), returned('m-9')]);
  expect(reply).toMatchObject({ status: 422, body: { code: 'REFUSED' } });
  expect(reply.body.items).toMatchObject([{ refusal: null }, { refusal: { code: 'UNKNOWN_ATTEMPT' } }]);
  expect((await service.get(`/v1/vms/${VM}`)).status).toBe(200);
});

it('rejects a second migration, also when the request is repeated', async () => {
  const service = await serve();
  await service.post([declared(), started('m-1')]);
  const request = event('vm.requested', { action: 'migrate', host: 'host-c' });
  for (const duplicate of [false, true]) {
    const reply = await service.post(request);
    expect(reply).toMatchObject({ status: 409, body: { code: 'ATTEMPT_OPEN', items: [{ duplicate }] } });
    expect(reply.body['remedy']).not.toBe('');
  }
});

it('decides a failed migration from the answers of the agents', async () => {
  const service = await serve();
  await service.post([declared(), started('m-1'), returned('m-1')]);
  expect(await workOff(service)).toBeGreaterThan(4);
  const { body } = await service.get('/v1/migrations/m-1');
  expect(body).toMatchObject({ state: 'RolledBack', settled: true, contested: false, verdict: { row: 'stayed' } });
  const metrics = textOf((await service.get('/metrics')).body);
  expect(metrics).toContain('landfall_attempts{state="RolledBack.settled"} 1');
  expect(metrics).toContain('landfall_verdicts_total{row="stayed",outcome="rolled-back"} 1');
  expect(metrics).toContain('landfall_outstanding{kind="question"} 0');
  expect((await service.get(`/v1/vms/${VM}/history`)).body.items.length).toBeGreaterThan(5);
});

it('rejects large events, wrong content types and long batches', async () => {
  const service = await serve();
  const long = event('command.acknowledged', { command: 'c', ok: false, error: 'x'.repeat(1_100_000) });
  expect(await service.post(long)).toMatchObject({ status: 413, body: { code: 'TOO_LARGE' } });
  expect(await service.post([declared(), long])).toMatchObject({ status: 413, body: { code: 'TOO_LARGE' } });
  expect((await service.post(Array.from({ length: 1001 }, () => declared()))).status).toBe(413);
  expect(await service.post([])).toMatchObject({ status: 202, body: { items: [] } });
  expect((await service.post(declared(), { 'content-type': 'text/plain' })).status).toBe(415);
  expect((await service.get('/readyz')).body['position']).toBe('0:0');
});

describe('nested JSON', () => {
  const nested = (levels: number) => `${'['.repeat(levels)}${']'.repeat(levels)}`;
  const text = (extension: string) => JSON.stringify(declared()).replace(/\}$/, `,"extension":${extension}}`);
  const send = async (service: Served, body: string, method: 'POST' | 'PUT' = 'POST', path = '/v1/events') => {
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(`${service.url}${path}`, { body, method, headers });
    return { status: response.status, body: (await response.json()) as { code?: string; message?: string } };
  };

  it.each([
    ['one event', `${text(nested(65))}`, 'extension: nests'],
    ['an event of a batch', `[${text('1')},${text(nested(65))}]`, '[1].extension: nests'],
    [
      'an event of a large batch',
      `[${text(JSON.stringify('x'.repeat(1_000_000)))},${text(nested(100_000))}]`,
      '[1].extension: nests',
    ],
    ['arrays instead of an event', nested(500_000), '[0].0: nests'],
    ['objects', `${'{"a":'.repeat(70)}1${'}'.repeat(70)}`, 'a: nests'],
  ])('rejects deep nesting and names the field: %s', async (_name, body, message) => {
    const service = await serve();
    const reply = await send(service, body);
    expect(reply).toMatchObject({ status: 400, body: { code: 'BAD_JSON' } });
    expect(reply.body.message).toContain(message);
    expect((await service.get('/readyz')).body['position']).toBe('0:0');
  });

  it('accepts the maximum depth, alone and in a batch', async () => {
    const service = await serve();
    expect((await send(service, text(nested(63)))).status).toBe(202);
    expect((await send(service, `[${text(nested(63))}]`)).status).toBe(202);
    expect((await send(service, text(nested(64)))).status).toBe(400);
  });

  it('rejects deep nesting in every request body', async () => {
    const service = await serve();
    const body = `{"recheckIntervalSeconds":${nested(100)}}`;
    expect(await send(service, body, 'PUT', '/v1/config')).toMatchObject({ status: 400, body: { code: 'BAD_JSON' } });
  });
});
