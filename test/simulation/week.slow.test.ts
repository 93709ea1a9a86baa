import { describe, expect, it } from 'vitest';
import { runLong, summary } from './long-run.ts';

/** The maximum memory of a partition at the end of a day, in bytes: open attempts and caches, without settled attempts. */
const WEIGHT_MAX = 4 * 1024 * 1024;

describe('a day of virtual time', () => {
  it('breaks no invariant and keeps memory bounded', {
    timeout: 120_000,
  }, async () => {
    const run = await runLong(1, { days: 1, hosts: 5, guests: 8, migrationsPerDay: 24, disastersPerHour: 4 });
    console.log(`a day: ${summary(run)}`);
    expect(run.violations).toEqual([]);
    expect(run.weights).toHaveLength(1);
    for (const { bytes } of run.weights) expect(bytes).toBeLessThan(WEIGHT_MAX);
  });
});
