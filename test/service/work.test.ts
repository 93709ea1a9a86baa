import { setTimeout as wait } from 'node:timers/promises';
import { expect, it } from 'vitest';
import {
  answerStayed,
  client,
  declared,
  event,
  returned,
  serve,
  started,
  workOff,
  textOf,
  ledgerOf,
} from './harness.ts';
import { stoppedClient } from './sockets.ts';

const question = (item: unknown) => (item as { question: { question: string; vm: string; host: string } }).question;

it('hands out each item once to a client with a cursor', async () => {
  const service = await serve();
  await service.post([declared(), started('m-1')]);
  const first = (await service.get('/v1/hosts/host-a/work')).body;
  expect(first.items).toMatchObject([{ kind: 'question', question: { host: 'host-a', migration: 'm-1' } }]);
  const next = encodeURIComponent(first.next);
  expect((await service.get(`/v1/hosts/host-a/work?wait=0&after=${next}`)).body.items).toEqual([]);
  expect((await service.get('/v1/hosts/host-a/work?wait=0')).body.items).toEqual(first.items);
  await service.post(answerStayed(question(first.items[0])));
  expect((await service.get('/v1/hosts/host-a/work?wait=0')).body.items).toEqual([]);
});

it('answers a long poll at the first new question', async () => {
  const service = await serve();
  await service.post([declared(), event('host.facts', { host: 'host-b', stream: 'connected' })]);
  const polled = service.get('/v1/hosts/host-b/work?wait=20');
  await wait(50);
  const began = performance.now();
  await service.post(started('m-1'));
  expect((await polled).body.items).toMatchObject([{ kind: 'question', question: { host: 'host-b' } }]);
  expect(performance.now() - began).toBeLessThan(15_000);
});

it('continues an event stream after the last event id', async () => {
  const service = await serve();
  await service.post([declared(), started('m-1')]);
  const first = await readEvents(`${service.url}/v1/hosts/host-a/work`, 1);
  expect(first.events).toMatchObject([{ kind: 'question', question: { host: 'host-a' } }]);
  const again = await readEvents(`${service.url}/v1/hosts/host-a/work`, 1);
  expect(again.events).toEqual(first.events);
  const stream = readEvents(`${service.url}/v1/hosts/host-a/work`, 1, { 'last-event-id': first.lastId });
  await wait(100);
  await service.post(returned('m-1'));
  expect((await stream).events[0]).not.toEqual(first.events[0]);
});

it('keeps questions and deadlines over a restart', async () => {
  const before = await serve();
  await before.post([declared(), started('m-1'), returned('m-1')]);
  const asked = (await before.get('/v1/hosts/host-a/work')).body.items;
  const deadline = ledgerOf(before).entryAt(3)?.entry.attempt?.attempt.deadlineAt;
  await before.stop();
  const after = await serve({}, before.folder);
  const again = (await after.get('/v1/hosts/host-a/work')).body.items;
  expect([...again].map((item) => question(item).question)).toEqual([...asked].map((item) => question(item).question));
  const { body } = await after.get('/v1/migrations/m-1/entries');
  expect(body['state']?.['attempt']?.['deadlineAt']).toBe(deadline);
  expect(await workOff(after)).toBeGreaterThan(3);
  expect((await after.get('/v1/migrations/m-1')).body).toMatchObject({ settled: true, state: 'RolledBack' });
});

it('hands out unacknowledged commands again after a restart', async () => {
  const before = await serve();
  await before.post([declared(), started('m-1'), returned('m-1')]);
  for (let commands = 0; commands === 0; ) {
    for (const host of ['host-a', 'host-b']) {
      const { body } = await before.get(`/v1/hosts/${host}/work?wait=0`);
      for (const item of body.items) if (item.kind === 'question') await before.post(answerStayed(question(item)));
    }
    commands = (await before.get('/v1/orchestrator/work?wait=0')).body.items.length;
  }
  const sent = (await before.get('/v1/orchestrator/work?wait=0')).body.items;
  await before.stop();
  const after = await serve({}, before.folder);
  expect((await after.get('/v1/orchestrator/work?wait=0')).body.items).toEqual(sent);
});

it('reports an agent of a known host as silent and as speaking', async () => {
  const service = await serve({ agentSilentSeconds: 0.5 });
  await service.post([event('host.facts', { host: 'host-a', stream: 'connected' })]);
  const agent = async () => (await service.get('/v1/hosts')).body.items[0]?.['agent'];
  await service.get('/v1/hosts/host-a/work?wait=0');
  await service.get('/v1/hosts/host-z/work?wait=0');
  await expect.poll(agent).toBe('silent');
  expect(textOf((await service.get('/metrics')).body)).toContain('landfall_agents_silent 1');
  const polling = async () => {
    await service.get('/v1/hosts/host-a/work?wait=3');
    return agent();
  };
  await expect.poll(polling).toBe('speaking');
  expect((await service.get('/v1/hosts')).body.items).toHaveLength(1);
});

it('reports a stopped agent as silent although its connection is open', async () => {
  const service = await serve({ agentSilentSeconds: 2 });
  await service.post([event('host.facts', { host: 'host-a', stream: 'connected' })]);
  const socket = await stoppedClient(service.url, 'host-a');
  const agent = async () => (await service.get('/v1/hosts')).body.items[0]?.['agent'];
  await expect.poll(agent).toBe('silent');
  expect(socket.closed).toBe(false);
  socket.destroy();
});

it('forgets requests of hosts that only an attempt named', async () => {
  const service = await serve({ agentSilentSeconds: 0.1 });
  await service.post([declared(), started('m-1')]);
  for (const host of ['host-a', 'host-b']) await service.get(`/v1/hosts/${host}/work?wait=0`);
  expect(service.agents.remembered).toBeGreaterThan(0);
  await expect.poll(() => service.agents.remembered).toBe(0);
});

it('refuses work of an unknown host and remembers nothing', async () => {
  const service = await serve();
  for (const query of ['', '?wait=0', '?wait=25']) {
    const { status, body } = await service.get(`/v1/hosts/stranger/work${query}`);
    expect(status).toBe(404);
    expect(body).toMatchObject({ code: 'NO_SUCH_HOST', message: expect.stringContaining('"stranger"') });
  }
  const stream = await fetch(`${service.url}/v1/hosts/stranger/work`, { headers: { accept: 'text/event-stream' } });
  expect(stream.status).toBe(404);
  expect(service.agents.remembered).toBe(0);
});

it('gives a host its work after its registration', async () => {
  const service = await serve();
  expect((await service.get('/v1/hosts/host-a/work?wait=0')).status).toBe(404);
  await service.post(event('host.facts', { host: 'host-a', stream: 'connected' }));
  expect(await service.get('/v1/hosts/host-a/work?wait=0')).toMatchObject({ status: 200, body: { items: [] } });
});

it('refuses the acknowledgement of an unknown command', async () => {
  const service = await serve();
  await service.post([declared(), started('m-1'), returned('m-1')]);
  for (const command of ['m-1/v1/release-lock/pool/web/host-a', 'm-2/v1/fail-call', 'nonsense', 'm-1/v0/fail-call']) {
    const { status, body } = await service.post(event('command.acknowledged', { command, ok: true }));
    expect({ status, code: body.code }).toEqual({ status: 422, code: 'UNKNOWN_COMMAND' });
  }
});

it('accepts the acknowledgement of a known command after the attempt has settled', async () => {
  const service = await serve();
  await service.post([declared(), started('m-1'), returned('m-1')]);
  await workOff(service);
  expect((await service.get('/v1/migrations')).body.items).toMatchObject([{ migration: 'm-1', settled: true }]);
  const late = event('command.acknowledged', { command: 'm-1/v1/fail-call', ok: true });
  expect((await service.post(late)).status).toBe(202);
});

it('names the verdict when a different return arrives after the end', async () => {
  const service = await serve();
  await service.post([declared(), started('m-1'), returned('m-1')]);
  await workOff(service);
  const { status, body } = await service.post(
    event('migration.returned', { migration: 'm-1', ok: false, error: { kind: 'caller-lost', message: 'again' } }),
  );
  expect(status).toBe(409);
  expect(body).toMatchObject({
    code: 'ATTEMPT_SETTLED',
    message: expect.stringMatching(/verdict 1: rolled back to host-a \(row stayed/),
  });
});

it('keeps an agent speaking during long polls', async () => {
  const service = await serve({ agentSilentSeconds: 2 });
  await service.post([event('host.facts', { host: 'host-a', stream: 'connected' })]);
  // The first read starts a reader thread.
  await service.get('/v1/hosts');
  const began = Date.now();
  while (Date.now() - began < 4000) {
    await service.get('/v1/hosts/host-a/work?wait=60');
    expect((await service.get('/v1/hosts')).body.items).toMatchObject([{ agent: 'speaking' }]);
  }
});

it('ends a stream at its time limit and continues after it', async () => {
  const service = await serve({ streamSeconds: 1 });
  await service.post([declared(), started('m-1')]);
  const first = await readEvents(`${service.url}/v1/hosts/host-a/work`, 2);
  expect(first.events).toHaveLength(1);
  const again = await readEvents(`${service.url}/v1/hosts/host-a/work`, 1, { 'last-event-id': first.lastId });
  expect(again.events).toEqual([]);
});

it('limits the concurrent requests of one host to 16', async () => {
  const service = await serve({ logLevel: 'silent' });
  await service.post([declared(), started('m-1')]);
  const sockets = await Promise.all(Array.from({ length: 16 }, () => stoppedClient(service.url, 'host-a')));
  const another = () => service.get('/v1/hosts/host-a/work?wait=0&limit=1');
  await expect.poll(another).toMatchObject({ status: 429, body: { code: 'OVERLOADED' } });
  expect((await service.get('/v1/hosts/host-b/work?wait=0&limit=1')).status).toBe(200);
  for (const socket of sockets) socket.destroy();
  await expect.poll(async () => (await another()).status).toBe(200);
});

it('limits the open requests for work of all hosts', async () => {
  const service = await serve({ workRequestsMax: 3 });
  const hosts = ['host-a', 'host-b', 'host-c', 'host-d'];
  await service.post(hosts.map((host) => event('host.facts', { host, stream: 'connected' })));
  const sockets = await Promise.all(hosts.slice(0, 3).map((host) => stoppedClient(service.url, host)));
  const another = () => service.get('/v1/hosts/host-d/work?wait=0');
  await expect.poll(another).toMatchObject({ status: 429, body: { code: 'OVERLOADED' } });
  expect((await another()).headers.get('retry-after')).toBe('1');
  sockets[0]?.destroy();
  await expect.poll(async () => (await another()).status).toBe(200);
  for (const socket of sockets) socket.destroy();
});

it('ends long polls and refuses requests at a stop', async () => {
  const service = await serve();
  const facts = (host: string) => event('host.facts', { host, stream: 'connected' });
  await service.post([facts('host-a'), facts('host-b')]);
  const polled = service.get('/v1/hosts/host-a/work?wait=30');
  const stream = readEvents(`${service.url}/v1/hosts/host-b/work`, 1);
  await expect.poll(() => service.agents.remembered).toBe(2);
  const began = performance.now();
  await service.stop();
  expect((await polled).body.items).toEqual([]);
  expect((await stream).events).toEqual([]);
  expect(performance.now() - began).toBeLessThan(20_000);
  await expect(client(() => service.url).get('/healthz')).rejects.toThrow(/fetch failed/);
});

async function readEvents(url: string, count: number, headers: Record<string, string> = {}) {
  const response = await fetch(url, { headers: { accept: 'text/event-stream', ...headers } });
  const events: unknown[] = [];
  let lastId = '';
  let text = '';
  for await (const chunk of response.body ?? []) {
    text += Buffer.from(chunk).toString();
    const blocks = text.split('\n\n');
    text = blocks.pop() ?? '';
    for (const block of blocks) {
      const data = /^data: (.*)$/m.exec(block)?.[1];
      lastId = /^id: (.*)$/m.exec(block)?.[1] ?? lastId;
      if (data !== undefined) events.push(JSON.parse(data));
    }
    if (events.length >= count) break;
  }
  return { events, lastId };
}
