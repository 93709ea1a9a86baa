import { setTimeout as wait } from 'node:timers/promises';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { finished, landfall, landfallJson, ROOT, scratchFolder, start } from '../support/landfall.ts';

/** Invariants 8 and 10 with a real process: killed anywhere and resumed, the ledger ends as if nothing had happened. */

const KILLS = 50;
const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
const files = readdirSync(join(ROOT, 'recordings'))
  .filter((name) => name.endsWith('.ndjson'))
  .map((name) => join(ROOT, 'recordings', name));

/** Deterministic from its seed (mulberry32), so that a failure can be played again with SEED=. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

type Head = { head: { position: string; hash: string }; findings: unknown[] };

it(`an ingest killed ${KILLS} times ends in the same ledger as an undisturbed one (SEED=${SEED})`, {
  timeout: 300_000,
}, async () => {
  const folder = scratchFolder();
  const random = randomFrom(SEED);
  const args = (db: string) => ['ingest', '--apart', ...files, '--db', join(folder, db)];
  const began = Date.now();
  expect((await landfall(args('undisturbed.db'))).code).toBe(0);
  const undisturbedMs = Date.now() - began;
  const undisturbed = await landfallJson<Head>(['audit', '--db', join(folder, 'undisturbed.db')]);

  let kills = 0;
  for (let ledger = 0; kills < KILLS; ledger += 1) {
    const db = `killed-${ledger}.db`;
    for (let done = false; !done; ) {
      const child = start(args(db));
      const ended = finished(child);
      // A resumed run is shorter than the first: the kill may come too late, and then the ledger is whole.
      await Promise.race([ended, wait(random() * undisturbedMs)]);
      child.kill('SIGKILL');
      const { signal, code } = await ended;
      if (signal === 'SIGKILL') kills += 1;
      expect(signal ?? code).toBe(signal === 'SIGKILL' ? 'SIGKILL' : 0);
      done = signal !== 'SIGKILL' || kills >= KILLS;
    }
    expect((await landfall(args(db))).code).toBe(0);
    const after = await landfallJson<Head>(['audit', '--db', join(folder, db)]);
    expect(after.findings).toEqual([]);
    expect(after.head).toEqual(undisturbed.head);
  }
});
