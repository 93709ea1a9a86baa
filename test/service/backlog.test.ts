import { expect, it } from 'vitest';
import { submissionOf } from '../../service/engine/engine.ts';
import { declared, serve } from './harness.ts';

const MIB = 1024 * 1024;
const one = () => [submissionOf(declared())];

it('limits the bytes of pending inputs but always accepts a single request', async () => {
  const { engine } = await serve();
  const alone = engine.submit(one(), { bytes: 100 * MIB });
  await expect(engine.submit(one(), { bytes: 1 })).rejects.toMatchObject({ code: 'OVERLOADED' });
  expect(engine.hasRoom(1)).toBe(false);
  await alone;
  const first = engine.submit(one(), { bytes: 40 * MIB });
  expect([engine.hasRoom(24 * MIB), engine.hasRoom(24 * MIB + 1)]).toEqual([true, false]);
  await expect(engine.submit(one(), { bytes: 24 * MIB + 1 })).rejects.toMatchObject({ code: 'OVERLOADED' });
  const second = engine.submit(one(), { bytes: 24 * MIB });
  await Promise.all([first, second]);
  expect(engine.waiting).toBe(0);
  await engine.submit(one(), { bytes: 64 * MIB });
});

it('limits the number of pending inputs', async () => {
  const { engine } = await serve({ logLevel: 'silent' });
  const [submission] = one();
  if (submission === undefined) throw new Error('there is one');
  const first = engine.submit(Array.from({ length: 20_000 }, () => submission));
  await expect(engine.submit(one())).rejects.toMatchObject({ code: 'OVERLOADED' });
  await first;
});
