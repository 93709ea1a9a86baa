import { describe, expect, it } from 'vitest';
import { runLong, summary } from './long-run.ts';

/** What a partition may weigh at the end of any day: open attempts and the caches, never the settled ones. */
const WEIGHT_MAX = 4 * 1024 * 1024;

describe('a day of virtual time', () => {
  it('with many migrations, disasters and crashes breaks no invariant, and leaves nothing in memory', {
    timeout: 120_000,
  }, async () => {
    const run = await runLong(1, { days: 1, hosts: 5, guests: 8, migrationsPerDay: 24, disastersPerHour: 4 });
    console.log(`a day: ${summary(run)}`);
    expect(run.violations).toEqual([]);
    expect(run.weights).toHaveLength(1);
    for (const { bytes } of run.weights) expect(bytes).toBeLessThan(WEIGHT_MAX);
  });
});
