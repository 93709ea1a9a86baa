import { describe, expect, it } from 'vitest';
import { runLong, summary } from './long-run.ts';

/** What a partition may weigh at the end of any day: open attempts and the caches, never the settled ones. */
const WEIGHT_MAX = 8 * 1024 * 1024;
/** SEED=… plays another week. */
const seed = Number(process.env['SEED'] ?? '1');

describe('a week of virtual time', () => {
  it(`with thousands of migrations, disasters and crashes breaks no invariant, and leaves nothing in memory (seed ${seed})`, async () => {
    const run = await runLong(seed, { days: 7, hosts: 5, guests: 40, migrationsPerDay: 24, disastersPerHour: 4 });
    console.log(`a week: ${summary(run)}`);
    expect(run.violations).toEqual([]);
    expect(run.weights).toHaveLength(7);
    for (const { bytes } of run.weights) expect(bytes).toBeLessThan(WEIGHT_MAX);
  });
});
