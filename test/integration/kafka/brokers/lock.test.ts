import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, expect, it } from 'vitest';
import { withLock } from './lock.ts';

const folder = mkdtempSync(join(tmpdir(), 'landfall-lock-'));
afterAll(() => rmSync(folder, { recursive: true }));

it('withLock runs one piece of work at a time', async () => {
  let working = 0;
  const work = async () => {
    working += 1;
    expect(working).toBe(1);
    await wait(5);
    working -= 1;
  };
  await Promise.all([1, 2, 3].map(() => withLock(join(folder, 'one'), work)));
});

it('withLock takes over the lock of a dead process', async () => {
  const file = join(folder, 'left');
  writeFileSync(file, '999999999');
  expect(await withLock(file, () => Promise.resolve('done'))).toBe('done');
});
