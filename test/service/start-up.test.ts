import { type ChildProcess, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, linkSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { boundFile, lockedFolder, MountedFolder } from '../log/mounted-folder.ts';
import { commandLine } from '../support/command-line.ts';
import { finished, scratchFolder, start } from '../support/landfall.ts';
import { client, event } from './harness.ts';

const canMount = MountedFolder.isPossible();
const isRoot = process.getuid?.() === 0;
if (!canMount) console.warn('SKIPPED: the test with a bind mount of the ledger needs root');

function service(db: string, ...more: string[]): ChildProcess {
  const child = start(['serve', '--no-recordings', '--port', '0', '--db', db, ...more]);
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

/** Starts a service process and resolves when it listens. */
async function listening(db: string): Promise<{ child: ChildProcess; url: string }> {
  const child = service(db);
  let text = '';
  while (!text.includes('listens on')) text += String((await once(child.stdout ?? child, 'data'))[0]);
  return { child, url: /listens on (\S+),/.exec(text)?.[1] ?? '' };
}

async function end(child: ChildProcess, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
  const closed = once(child, 'close');
  child.kill(signal);
  await closed;
}

async function expectRefusal(db: string, code: string): Promise<void> {
  const ended = await finished(service(db));
  expect(ended).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(new RegExp(`^error ${code}: .*\\n {2}hint: `)),
  });
}

/** Creates a folder beside the ledger for a second path with the same file name. */
function secondPath(folder: string, name: string): string {
  mkdirSync(join(folder, name));
  return join(folder, name, 'ledger.db');
}

it('refuses a second service on a link of the ledger', { timeout: 60_000 }, async () => {
  const folder = scratchFolder();
  const file = join(folder, 'ledger.db');
  const { child } = await listening(file);
  const [hard, symbolic] = [secondPath(folder, 'hard'), secondPath(folder, 'symbolic')];
  linkSync(file, hard);
  symlinkSync(file, symbolic);
  await expectRefusal(hard, 'LEDGER_BUSY');
  await expectRefusal(symbolic, 'LEDGER_BUSY');
  await end(child, 'SIGKILL');
  await listening(file);
});

it.skipIf(!canMount)('refuses a second service on a bind mount of the ledger (as root)', async () => {
  const folder = scratchFolder();
  const file = join(folder, 'ledger.db');
  await listening(file);
  using bound = boundFile(file, secondPath(folder, 'bound'));
  await expectRefusal(bound.path, 'LEDGER_BUSY');
});

it('refuses a link while the log of the first path contains commits', { timeout: 60_000 }, async () => {
  const folder = scratchFolder();
  const [file, link] = [join(folder, 'ledger.db'), join(folder, 'link.db')];
  const first = await listening(file);
  const { status } = await client(() => first.url).post(event('host.facts', { host: 'host-a' }));
  expect(status).toBe(202);
  await end(first.child, 'SIGKILL');
  linkSync(file, link);
  await expectRefusal(link, 'LEDGER_BUSY');
  await end((await listening(file)).child, 'SIGTERM');
  const { url } = await listening(link);
  expect((await client(() => url).get('/readyz')).body['position']).toBe('0:1');
});

it.runIf(existsSync('/proc/self'))('ends within seconds if the folder cannot be created in /proc', async () => {
  const began = performance.now();
  await expectRefusal('/proc/x/y.db', 'LEDGER_MISSING');
  expect(performance.now() - began).toBeLessThan(10_000);
});

it('ends at SIGTERM while it waits for its tokens', async () => {
  const folder = scratchFolder();
  const pipe = join(folder, 'tokens');
  expect(spawnSync('mkfifo', [pipe]).status).toBe(0);
  const child = service(join(folder, 'ledger.db'), '--tokens', pipe);
  const ended = finished(child);
  // The open resolves when the service has opened the pipe; the service then waits for content.
  const writing = await open(pipe, 'w');
  child.kill('SIGTERM');
  expect((await ended).signal).toBe('SIGTERM');
  await writing.close();
});

it.runIf(existsSync('/proc/self')).each([
  ['/proc/x/y.db', 'LEDGER_MISSING'],
  ['/proc/self/x/y.db', 'LEDGER_MISSING'],
  ['/sys/x/y.db', 'LEDGER_MISSING'],
  ['/proc/y.db', 'LEDGER_'],
  ['/dev/null/y.db', 'LEDGER_MISSING'],
  ['/dev/null', 'LEDGER_NOT_A_LEDGER'],
  ['/dev/zero', 'LEDGER_NOT_A_LEDGER'],
])('refuses %s as a ledger with an error', async (db, code) => {
  const { code: exit, err } = await commandLine(['config', 'set', 'recheckIntervalSeconds=5', '--db', db]);
  expect([exit, err]).toEqual([2, expect.stringContaining(`error ${code}`)]);
});

it('refuses a ledger in a folder that is a file', async () => {
  const folder = scratchFolder();
  writeFileSync(join(folder, 'file'), '');
  const db = join(folder, 'file', 'new', 'ledger.db');
  const { err } = await commandLine(['config', 'set', 'recheckIntervalSeconds=5', '--db', db]);
  expect(err).toContain('error LEDGER_MISSING');
});

it.skipIf(isRoot)('refuses a new folder in a folder without write permission (not as root)', async () => {
  const db = join(lockedFolder(scratchFolder()), 'new', 'ledger.db');
  const { err } = await commandLine(['config', 'set', 'recheckIntervalSeconds=5', '--db', db]);
  expect(err).toContain('error LEDGER_MISSING');
});
