import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import Fastify from 'fastify';
import { beforeEach, describe, expect, it } from 'vitest';
import { Fault } from '../../events/fault.ts';
import { Credentials, newToken } from '../../service/access/credentials.ts';
import { Guard, requireNeeds } from '../../service/access/guard.ts';
import { scratchFolder } from '../support/landfall.ts';
import { answerStayed, declared, event, returned, serve, started, VM } from './harness.ts';

const roles = { reader: 'read', orchestrator: 'ingest', 'agent-a': 'agent:host-a', alice: 'operate' };
type Name = keyof typeof roles;
/** A report by the agent of host-a. */
const OF_A = { source: 'agent://host-a' };
let folder: string;
let tokens: Record<Name, string>;
const as = (name: Name) => ({ authorization: `Bearer ${tokens[name]}` });

beforeEach(() => {
  folder = scratchFolder();
  const made = Object.entries(roles).map(([name, role]) => [name, newToken(name, role)] as const);
  writeFileSync(join(folder, 'tokens'), `# who may\n${made.map(([, { line }]) => line).join('\n')}\n`);
  tokens = Object.fromEntries(made.map(([name, { token }]) => [name, token])) as Record<Name, string>;
});

const guarded = () => serve({ tokens: join(folder, 'tokens') });

it('refuses a public address without tokens or client certificates', async () => {
  await expect(serve({ host: '0.0.0.0' })).rejects.toMatchObject({ code: 'UNGUARDED' });
  writeFileSync(join(folder, 'empty'), '# nobody\n');
  await expect(serve({ host: '0.0.0.0', tokens: join(folder, 'empty') })).rejects.toMatchObject({ code: 'UNGUARDED' });
  const service = await serve({ host: '0.0.0.0', tokens: join(folder, 'tokens') });
  expect((await service.get('/v1/vms')).status).toBe(401);
});

it('grants each role its own routes only', async () => {
  const service = await guarded();
  const paths = [
    '/v1/vms',
    '/v1/migrations',
    '/v1/ledger',
    '/v1/config',
    '/metrics',
    '/v1/hosts/host-a/work?wait=0',
    '/v1/orchestrator/work?wait=0',
  ];
  const granted: Record<Name, number[]> = {
    reader: [200, 200, 200, 200, 200, 403, 403],
    orchestrator: [403, 403, 403, 403, 403, 403, 200],
    'agent-a': [403, 403, 403, 403, 403, 200, 403],
    alice: [200, 200, 200, 200, 200, 403, 200],
  };
  for (const [name, statuses] of Object.entries(granted)) {
    const found = await Promise.all(paths.map(async (path) => (await service.get(path, as(name as Name))).status));
    expect([name, found]).toEqual([name, statuses]);
  }
  for (const path of paths) {
    expect((await service.get(path)).status).toBe(401);
    expect((await service.get(path, { authorization: 'Bearer lf_wrong' })).body['code']).toBe('UNAUTHENTICATED');
  }
  for (const path of ['/healthz', '/readyz']) expect((await service.get(path)).status).toBe(200);
  expect((await service.post(declared(), as('reader'))).status).toBe(403);
  expect((await service.post(declared(), as('orchestrator'))).status).toBe(202);
});

it('accepts reports of an agent for its own hosts only', async () => {
  const service = await guarded();
  await service.post([declared(), started('m-1'), returned('m-1')], as('orchestrator'));
  const { body } = await service.get('/v1/hosts/host-a/work?wait=0', as('agent-a'));
  const mine = body.items[0]?.['question'] as unknown as { question: string; vm: string; host: string };
  expect((await service.get('/v1/hosts/host-b/work?wait=0', as('agent-a'))).status).toBe(403);
  expect((await service.post({ ...answerStayed({ ...mine, host: 'host-b' }), ...OF_A }, as('agent-a'))).status).toBe(
    403,
  );
  expect(
    (
      await service.post(
        [
          { ...answerStayed(mine), ...OF_A },
          { ...answerStayed({ ...mine, host: 'host-b' }), ...OF_A },
        ],
        as('agent-a'),
      )
    ).status,
  ).toBe(403);
  expect((await service.post(event('host.facts', { host: 'host-b' }, OF_A), as('agent-a'))).status).toBe(403);
  expect(
    (await service.post(event('migration.returned', { migration: 'm-1', ok: true }, OF_A), as('agent-a'))).status,
  ).toBe(403);
  const command = event('command.acknowledged', { command: 'm-1/v1/fail-call', ok: true }, OF_A);
  expect((await service.post(command, as('agent-a'))).status).toBe(403);
  expect((await service.post({ ...answerStayed(mine), ...OF_A }, as('agent-a'))).status).toBe(202);
  expect((await service.post(event('host.facts', { host: 'host-a' }, OF_A), as('agent-a'))).status).toBe(202);
});

it('accepts an acknowledgement for a volume with any name', async () => {
  const service = await guarded();
  const post = (name: Name, body: Record<string, unknown>) => service.post(body, as(name));
  const volumes = [{ volume: `/exports/v1/images/${'deep/'.repeat(150)}vm7.qcow2` }];
  const of = { subject: VM };
  await post('orchestrator', event('vm.declared', { name: 'web', host: 'host-a', power: 'running', volumes }, of));
  await post('orchestrator', started('m-1'));
  await post('orchestrator', returned('m-1'));
  const answer = (nth: number, host: string) => answerStayed({ question: `m-1/q${nth}`, vm: VM, host });
  // The destination counts as empty only if its question was asked after the source's answer. The test does not know the
  // number of that question.
  await post('orchestrator', answer(3, 'host-a'));
  for (let nth = 4; nth <= 8; nth += 1) await post('orchestrator', answer(nth, 'host-b'));
  const release = `m-1/v1/release-lock/${volumes[0]?.volume}/host-b`;
  const done = (command: string, over: object) =>
    event('command.acknowledged', { command, ok: true }, { ...of, ...over });
  await post('orchestrator', done('m-1/v1/failed-to-migrate', {}));
  expect((await post('agent-a', done(release, OF_A))).status).toBe(403);
  expect((await post('orchestrator', done(release, {}))).status).toBe(202);
  const { body } = await service.get('/v1/hosts/host-a/work?wait=0', as('agent-a'));
  const acquire = `m-1/v1/acquire-lock/${volumes[0]?.volume}/host-a`;
  expect(body.items.map(({ command }) => command?.['command'])).toContain(acquire);
  expect((await post('agent-a', done(acquire, OF_A))).status).toBe(202);
});

it('rejects a source of another client or of Landfall', async () => {
  const service = await guarded();
  const status = async (name: Name | null, source: string, host = 'host-a') =>
    (await service.post(event('host.facts', { host }, { source }), name === null ? {} : as(name))).status;
  expect(await status('agent-a', 'agent://host-a')).toBe(202);
  for (const source of ['agent://host-a/facts', 'agent-a', 'agent-a/facts', 'site/agents', 'orchestrator2'])
    expect([source, await status('agent-a', source)]).toEqual([source, 202]);
  for (const source of [
    'agent://host-b',
    'agent://host-a2',
    'orchestrator',
    'orchestrator/jobs',
    'orchestrator:jobs',
    'operator://alice',
    'alice',
    'agent://',
    'agent://host-b/agent://host-a',
  ])
    expect([source, await status('agent-a', source)]).toEqual([source, 403]);
  // The orchestrator can still use this event id.
  const returned = event(
    'migration.returned',
    { migration: 'm-1', ok: true },
    { id: 'job-end', source: 'orchestrator' },
  );
  const taken = event('host.facts', { host: 'host-a' }, { id: 'job-end', source: 'orchestrator' });
  expect((await service.post(taken, as('agent-a'))).status).toBe(403);
  expect((await service.post(returned, as('orchestrator'))).body['code']).toBe('UNKNOWN_ATTEMPT');
  for (const name of ['agent-a', 'orchestrator', 'alice'] as const)
    expect([name, await status(name, 'landfall:service')]).toEqual([name, 403]);
  const open = await serve();
  const own = event('host.facts', { host: 'host-a', agent: 'silent' }, { source: 'landfall:service' });
  expect(await open.post(own)).toMatchObject({ status: 403, body: { code: 'FORBIDDEN' } });
});

it('rejects a decision under the name of another operator', async () => {
  const service = await guarded();
  const set = (source: string) => event('configuration.set', { change: {}, operator: 'alice' }, { source });
  expect((await service.post(set('operator://alice/console'), as('alice'))).status).toBe(202);
  expect((await service.post(set('orchestrator'), as('alice'))).status).toBe(403);
});

it('rejects a lease report that removes the lease of a foreign host', async () => {
  const service = await guarded();
  const holders = (...hosts: string[]) =>
    event('volume.holders', { volume: 'vol-1', holders: hosts.map((host) => ({ host, mode: 'exclusive' })) }, OF_A);
  const told = async (name: Name, ...hosts: string[]) => (await service.post(holders(...hosts), as(name))).status;
  expect(await told('agent-a', 'host-a')).toBe(202);
  expect(await told('agent-a', 'host-b')).toBe(403);
  expect(await told('agent-a', 'host-a', 'host-b')).toBe(403);
  expect(await told('agent-a')).toBe(202);
  // The agent must not remove the lease of another host.
  expect(await told('orchestrator', 'host-b')).toBe(202);
  expect(await told('agent-a')).toBe(403);
  expect(await told('agent-a', 'host-a')).toBe(403);
  expect(await told('orchestrator')).toBe(202);
  expect(await told('agent-a', 'host-a')).toBe(202);
});

it('records the token name as the operator', async () => {
  const service = await guarded();
  expect((await service.send('PUT', '/v1/config', { recheckIntervalSeconds: 3 }, as('alice'))).status).toBe(200);
  expect((await service.send('PUT', '/v1/config?operator=bob', {}, as('alice'))).status).toBe(403);
  expect((await service.send('PUT', '/v1/config', {}, as('orchestrator'))).status).toBe(403);
  const set = event('configuration.set', { change: {}, operator: 'bob' }, { source: 'operator://alice' });
  expect((await service.post(set, as('alice'))).status).toBe(403);
  expect((await service.post(set, as('orchestrator'))).status).toBe(403);
  const { body } = await service.get('/v1/ledger', as('alice'));
  expect([...body.items].map((item) => item['entry']?.['cause']?.['data']?.['operator'])).toEqual(['alice']);
});

it('hides tokens in the log and paths in replies', async () => {
  const service = await guarded();
  await service.get('/v1/vms', as('alice'));
  await service.get('/v1/vms', { authorization: 'Bearer lf_secret-that-is-wrong' });
  await service.post(declared(), as('reader'));
  // The logger redacts the token in requests and in headers.
  const headers = as('alice');
  service.app.log.info({ headers }, 'of headers');
  service.app.log.info({ request: { headers }, reply: headers }, 'of a request');
  service.app.log.child({ part: 'kafka' }).info(headers, 'of a part');
  const log = service.logged.join('');
  expect(log.match(/"authorization":"\*\*\*"/g)).toHaveLength(4);
  for (const secret of [...Object.values(tokens), 'lf_secret-that-is-wrong']) expect(log).not.toContain(secret);
  expect(log).toContain('UNAUTHENTICATED');
});

it('hides queries and tokens of the path in the log', async () => {
  const service = await guarded();
  const token = tokens.alice;
  const paths = [`/v1/vms?access_token=${token}`, `/v1/vms?at=1&token=secret-1`, `/v1/vms/${token}`];
  for (const path of paths) expect((await service.get(path)).status).toBe(401);
  expect((await service.get(`/v1/ledger?access_token=${token}`, as('alice'))).status).toBe(400);
  expect((await service.get(`/v1/none?access_token=${token}`)).status).toBe(404);
  // Fastify logs a request under this name.
  service.app.log.info({ req: { method: 'GET', url: `/v1/vms?access_token=${token}`, headers: {} } }, 'a request');
  const log = service.logged.join('');
  expect(log).toContain('"path":"/v1/vms"');
  for (const secret of [token, 'secret-1', 'access_token']) expect(log).not.toContain(secret);
});

it('rejects a route without declared roles', async () => {
  expect(() => requireNeeds({ url: '/v1/new' })).toThrow(/\/v1\/new does not declare its roles/);
  const app = Fastify();
  const guard = new Guard(Credentials.read(join(folder, 'tokens')));
  const open = new Guard(null);
  app.get('/v1/open', async (request) => open.admit(request).name);
  app.get('/v1/new', async (request) => guard.admit(request).name);
  app.setErrorHandler<Fault>((error, _request, reply) => reply.status(403).send(error.code));
  expect((await app.inject({ url: '/v1/new', headers: as('alice') })).body).toBe('FORBIDDEN');
  expect((await app.inject({ url: '/v1/open', headers: { host: '127.0.0.1' } })).body).toBe('FORBIDDEN');
  const service = await guarded();
  expect(await service.get('/v1/nothing')).toMatchObject({ status: 404, body: { code: 'NOT_FOUND' } });
});

it('shows messages of the brokers to authenticated clients only', async () => {
  const service = await guarded();
  const fault = new Fault('KAFKA_FAILED', 'Kafka: connect ECONNREFUSED 10.1.2.3:9092', 'Check kafkaBrokers.');
  Object.defineProperty(service.engine, 'fault', { get: () => fault });
  const asked = await service.get('/readyz');
  expect(asked).toMatchObject({
    status: 503,
    body: { code: 'KAFKA_FAILED', message: expect.stringContaining('KAFKA_FAILED') },
  });
  expect(JSON.stringify(asked.body)).not.toContain('10.1.2.3');
  expect((await service.get('/readyz', as('alice'))).body['message']).toContain('10.1.2.3');
  expect(JSON.stringify((await service.get('/readyz', { authorization: 'Bearer lf_wrong' })).body)).not.toContain(
    '10.1',
  );
  expect(service.logged.join('')).toContain('10.1.2.3');
  const open = await serve();
  Object.defineProperty(open.engine, 'fault', { get: () => fault });
  expect(JSON.stringify((await open.get('/readyz')).body)).not.toContain('10.1.2.3');
});

it('reloads credentials, and keeps the old ones after an error', async () => {
  const service = await guarded();
  const file = join(folder, 'tokens');
  const good = readFileSync(file, 'utf8');
  writeFileSync(file, 'alice boss sha256:00\n');
  expect(() => service.reloadTokens()).toThrow(/tokens:1: "boss" is not a role/);
  expect((await service.get('/v1/vms', as('alice'))).status).toBe(200);
  writeFileSync(
    file,
    good
      .split('\n')
      .filter((line) => !line.startsWith('alice'))
      .join('\n'),
  );
  service.reloadTokens();
  expect((await service.get('/v1/vms', as('alice'))).status).toBe(401);
});

it('ends a stream whose token was revoked', async () => {
  const service = await serve({ tokens: join(folder, 'tokens'), streamSeconds: 1 });
  const headers = { ...as('agent-a'), accept: 'text/event-stream' };
  const stream = await fetch(`${service.url}/v1/hosts/host-a/work`, { headers });
  expect(stream.status).toBe(200);
  const file = join(folder, 'tokens');
  writeFileSync(file, readFileSync(file, 'utf8').replace(/^agent-a .*$/m, ''));
  service.reloadTokens();
  // The stream ends at its time limit.
  await stream.text();
  expect((await fetch(`${service.url}/v1/hosts/host-a/work`, { headers })).status).toBe(401);
});

it('rejects a foreign Host header when it runs without tokens', async () => {
  const service = await serve();
  const asked = await service.app.inject({ url: '/v1/vms', headers: { host: 'evil.example' } });
  expect([asked.statusCode, asked.json().code]).toEqual([403, 'FOREIGN_HOST']);
});

it.each([
  ['alice', 'a line must be NAME ROLES CREDENTIAL'],
  ['alice king sha256:00', 'is not a role'],
  ['alice agent sha256:00', 'the role agent needs host names'],
  ['alice read:host-a sha256:00', 'only the role agent takes host names'],
  ['alice read sha256:00', '64 hex digits'],
])('names the invalid line of the credentials file: %s', (line, message) => {
  expect(() => Credentials.parse(`\n${line}\n`, 'tokens')).toThrow(new RegExp(`^tokens:2: .*${message}`));
});

describe('TLS', () => {
  it('authenticates a client by its certificate', async () => {
    const make = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' });
    const sign = (name: string, cn: string) => {
      make(
        'req',
        '-newkey',
        'rsa:2048',
        '-nodes',
        '-subj',
        `/CN=${cn}`,
        '-keyout',
        `${name}.key`,
        '-out',
        `${name}.csr`,
      );
      make(
        'x509',
        '-req',
        '-in',
        `${name}.csr`,
        '-CA',
        'ca.crt',
        '-CAkey',
        'ca.key',
        '-CAcreateserial',
        '-out',
        `${name}.crt`,
        '-days',
        '2',
      );
    };
    make(
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-subj',
      '/CN=ca',
      '-keyout',
      'ca.key',
      '-out',
      'ca.crt',
      '-days',
      '2',
    );
    sign('server', 'localhost');
    sign('agent', 'host-a.example');
    sign('stranger', 'host-q.example');
    writeFileSync(join(folder, 'clients'), 'agent-a agent:host-a cn:host-a.example\n');
    const path = (name: string) => join(folder, name);
    const tls = { tlsCert: path('server.crt'), tlsKey: path('server.key'), tlsClientCa: path('ca.crt') };
    const service = await serve({ host: '0.0.0.0', tokens: path('clients'), ...tls });
    const ask = (name: string | null, url: string) =>
      new Promise<number>((resolve, reject) => {
        const own =
          name === null ? {} : { cert: readFileSync(path(`${name}.crt`)), key: readFileSync(path(`${name}.key`)) };
        const { port } = new URL(service.url);
        const call = request({
          host: 'localhost',
          port,
          path: url,
          ca: readFileSync(path('ca.crt')),
          ...own,
          agent: false,
        });
        call
          .on('response', (response) => resolve(response.resume().statusCode ?? 0))
          .on('error', reject)
          .end();
      });
    expect(await ask('agent', '/v1/hosts/host-a/work?wait=0')).toBe(200);
    expect(await ask('agent', '/v1/hosts/host-b/work?wait=0')).toBe(403);
    expect(await ask('stranger', '/v1/hosts/host-a/work?wait=0')).toBe(401);
    await expect(ask(null, '/v1/vms')).rejects.toThrow(/certificate|reset|hang up/i);
  });
});

it('limits the requests of one address', async () => {
  const service = await serve({ requestsPerSecondMax: 2 });
  const replies = await Promise.all(Array.from({ length: 60 }, () => service.get(`/v1/vms/${VM}`)));
  const limited = replies.filter(({ status }) => status === 429);
  expect(limited.length).toBeGreaterThan(20);
  expect(limited[0]?.body['code']).toBe('RATE_LIMITED');
  expect((await service.get('/healthz')).status).toBe(200);
});
