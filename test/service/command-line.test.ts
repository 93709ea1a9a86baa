import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { commandJson, commandLine } from '../support/command-line.ts';
import { finished, landfall, scratchFolder, start } from '../support/landfall.ts';
import { client, declared, returned, serve, started, VM, workOff } from './harness.ts';

it('starts in seconds, plays the recordings and stops cleanly', {
  timeout: 120_000,
}, async () => {
  const folder = scratchFolder();
  const began = performance.now();
  const child = start(['serve', '--db', join(folder, 'ledger.db'), '--port', '0']);
  const ended = finished(child);
  onTestFinished(() => void child.kill('SIGKILL'));
  let text = '';
  for (; !text.includes('Ctrl-C'); ) text += String((await once(child.stdout ?? child, 'data'))[0]);
  expect(performance.now() - began).toBeLessThan(20_000);
  const url = /listens on (\S+),/.exec(text)?.[1] ?? '';
  const { get } = client(() => url);
  const { body, headers } = await get('/v1/migrations?ledger=demo');
  expect(body.items.length).toBeGreaterThan(8);
  expect([body['ledger'], headers.get('landfall-ledger')]).toEqual(['demo', 'demo']);
  expect((await get('/v1/migrations')).body.items).toEqual([]);
  expect((await get('/readyz')).body['position']).toBe('0:0');
  child.kill('SIGTERM');
  expect((await ended).code).toBe(0);
  expect(text).toContain('npx landfall explain');
});

it('prints the same texts over HTTP as from the ledger file', async () => {
  const service = await serve();
  await service.post([declared(), started('m-1'), returned('m-1')]);
  await workOff(service);
  await service.post(returned('m-9'));
  const commands = [
    ['status'],
    ['status', 'web'],
    ['migrations', VM],
    ['history', 'web'],
    ['explain', 'm-1'],
    ['dead-letters'],
    ['config', 'get'],
  ];
  const server = ['--server', service.url];
  expect(
    (await commandLine(['resolve', 'm-1', '--host', 'host-a', '--reason', 'r', '--attest', ...server])).err,
  ).toContain('NOT_CONTESTED');
  const remote = await Promise.all(commands.map((command) => commandJson([...command, ...server])));
  const inWords = await commandLine(['explain', 'm-1', ...server]);
  await commandJson(['config', 'set', 'recheckIntervalSeconds=3', '--operator', 'ann', ...server]);
  expect((await service.get('/v1/config')).body).toMatchObject({ recheckIntervalSeconds: 3 });
  expect((await commandLine(['status', 'nobody', ...server])).err).toContain('UNKNOWN_VM');
  expect(
    (await landfall(['config', 'set', 'recheckIntervalSeconds=4', '--db', join(service.folder, 'ledger.db')])).stderr,
  ).toContain('--server');
  await service.send('PUT', '/v1/config', { recheckIntervalSeconds: 10 });
  await service.stop();
  const db = ['--db', join(service.folder, 'ledger.db')];
  const local = await Promise.all(commands.map((command) => commandJson([...command, ...db])));
  const withoutStanding = (value: unknown) => JSON.stringify(value).replace(/"asOf":\{[^}]*\}/g, '""');
  expect(remote.map(withoutStanding)).toEqual(local.map(withoutStanding));
  expect(inWords.out).toBe((await commandLine(['explain', 'm-1', ...db])).out);
  expect((await commandLine(['status', ...server])).err).toContain('SERVER_UNREACHABLE');
});

it('prints a token and its line for the credentials file', async () => {
  const { out } = await commandLine(['token', 'agent-a', '--role', 'agent:host-a']);
  expect(out).toMatch(/^token {2}lf_[\w-]{43}\nline {3}agent-a agent:host-a sha256:[0-9a-f]{64}$/);
  expect((await commandLine(['token', 'a', '--role', 'king'])).err).toContain('is not a role');
  expect((await landfall(['serve', '--host', '0.0.0.0', '--db', join(scratchFolder(), 'l.db')])).stderr).toContain(
    'UNGUARDED',
  );
});

it('rejects the file of the demo ledger as its ledger', async () => {
  const folder = scratchFolder();
  const ran = await landfall(['serve', '--db', join(folder, 'demo.db'), '--port', '0']);
  expect([ran.code, ran.stderr]).toEqual([2, expect.stringMatching(/BAD_SETTING.*demo\.db/)]);
  expect(existsSync(join(folder, 'demo.db'))).toBe(false);
});

it('audits and backtests the ledger of a running service', async () => {
  const service = await serve({ logLevel: 'silent' });
  await service.post([declared(), started('m-1'), returned('m-1')]);
  await workOff(service);
  const server = ['--server', service.url];
  const remote = await commandJson(['audit', ...server]);
  expect(remote).toMatchObject({ findings: [], verdicts: { checked: 1 } });
  const heads = join(service.folder, 'heads');
  expect((await commandLine(['audit', '--save-head', heads, ...server])).code).toBe(0);
  const head = readFileSync(heads, 'utf8').trim();
  expect((await commandLine(['audit', '--head', head, ...server])).code).toBe(0);
  const forged = head.replace(/.$/, (digit) => (digit === '0' ? '1' : '0'));
  expect(await commandLine(['audit', '--head', forged, ...server])).toMatchObject({
    code: 1,
    out: expect.stringContaining('chain forked'),
  });
  const decided = await commandJson(['backtest', ...server]);
  await service.stop();
  const db = ['--db', join(service.folder, 'ledger.db')];
  expect(remote).toEqual(await commandJson(['audit', ...db]));
  expect(decided).toEqual(await commandJson(['backtest', ...db]));
});
