import { describe, expect, it } from 'vitest';
import { runLong, summary } from './long-run.ts';

/** The maximum memory of a partition at the end of a day, in bytes: open attempts and caches, without settled attempts. */
const WEIGHT_MAX = 8 * 1024 * 1024;
/** The environment variable SEED selects another week. */
const seed = Number(process.env['SEED'] ?? '1');

describe('a week of virtual time', () => {
  it(`breaks no invariant and keeps memory bounded (seed ${seed})`, async () => {
    const run = await runLong(seed, { days: 7, hosts: 5, guests: 40, migrationsPerDay: 24, disastersPerHour: 4 });
    console.log(`a week: ${summary(run)}`);
    expect(run.violations).toEqual([]);
    expect(run.weights).toHaveLength(7);
    for (const { bytes } of run.weights) expect(bytes).toBeLessThan(WEIGHT_MAX);
  });
});
