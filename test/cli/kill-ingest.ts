import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { expect } from 'vitest';
import { commandJson } from '../support/command-line.ts';
import { finished, landfall, ROOT, scratchFolder, start } from '../support/landfall.ts';

type Audit = { head: { position: string; hash: string }; findings: unknown[] };

/** The seed of the kill times; SEED= repeats a failed run. */
export const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000);

const recordings = readdirSync(join(ROOT, 'recordings'))
  .filter((name) => name.endsWith('.ndjson'))
  .map((name) => join(ROOT, 'recordings', name));

/** Returns a pseudo-random function (mulberry32) that repeats for the same seed. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Kills ingest processes at random times, resumes them, and compares each ledger with the ledger of an undisturbed run. */
export async function requireSameLedgerAfterKills(count: number): Promise<void> {
  const folder = scratchFolder();
  const random = randomFrom(SEED);
  const args = (db: string) => ['ingest', '--apart', ...recordings, '--db', join(folder, db)];
  const audited = (db: string) => commandJson<Audit>(['audit', '--db', join(folder, db)]);
  const startedAt = Date.now();
  expect((await landfall(args('undisturbed.db'))).code).toBe(0);
  const undisturbedMs = Date.now() - startedAt;
  const undisturbed = await audited('undisturbed.db');

  let kills = 0;
  for (let ledger = 0; kills < count; ledger += 1) {
    const db = `killed-${ledger}.db`;
    for (let done = false; !done; ) {
      const child = start(args(db));
      const ended = finished(child);
      // A resumed run is shorter than the first run, so the process may end before the kill; then the ledger is complete.
      await Promise.race([ended, wait(random() * undisturbedMs)]);
      child.kill('SIGKILL');
      const { signal, code } = await ended;
      if (signal === 'SIGKILL') kills += 1;
      expect(signal ?? code).toBe(signal === 'SIGKILL' ? 'SIGKILL' : 0);
      done = signal !== 'SIGKILL' || kills >= count;
    }
    expect((await landfall(args(db))).code).toBe(0);
    const after = await audited(db);
    expect(after.findings).toEqual([]);
    expect(after.head).toEqual(undisturbed.head);
  }
}
