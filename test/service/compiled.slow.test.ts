import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { ROOT, scratchFolder } from '../support/landfall.ts';
import { client, declared, started, VM } from './harness.ts';

/** The compiled service must find the compiled modules of its threads and projections, which it loads by URL. */

it('answers inputs and reads from the compiled package', async () => {
  // In node_modules, the compiled modules find the packages.
  const dist = join(ROOT, 'node_modules/.cache/landfall-dist');
  onTestFinished(() => rmSync(dist, { recursive: true, force: true }));
  const compiler = join(ROOT, 'node_modules/.bin/tsc');
  const compiled = spawnSync(compiler, ['-p', 'tsconfig.build.json', '--outDir', dist], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  expect([compiled.status, compiled.stdout]).toEqual([0, '']);
  writeFileSync(join(dist, 'package.json'), '{ "type": "module" }');
  const db = join(scratchFolder(), 'ledger.db');
  const child = spawn(process.execPath, [
    join(dist, 'cli/main.js'),
    'serve',
    '--no-recordings',
    '--port',
    '0',
    '--db',
    db,
  ]);
  onTestFinished(() => void child.kill('SIGKILL'));
  let text = '';
  while (!text.includes('listens on')) text += String((await once(child.stdout, 'data'))[0]);
  const { get, post } = client(() => /listens on (\S+),/.exec(text)?.[1] ?? '');
  expect((await post([declared(), started('m-1')])).status).toBe(202);
  for (const path of ['/v1/vms', `/v1/vms/${VM}/history`, '/v1/ledger', `/v1/vms?at=${Date.now()}`])
    expect([path, (await get(path)).status]).toEqual([path, 200]);
  const closed = once(child, 'close');
  child.kill('SIGTERM');
  expect(await closed).toEqual([0, null]);
});
