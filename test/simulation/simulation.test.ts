import { describe, expect, it } from 'vitest';
import { simulate } from './simulate.ts';
import { simulateWorlds } from './worlds.ts';

const WORLDS = 300;

describe('simulated worlds', () => {
  it(`break no invariant with ${WORLDS} seeds`, { timeout: 600_000 }, async () => {
    const { failures, ...summary } = await simulateWorlds(1, WORLDS);
    console.log(`simulation: ${JSON.stringify(summary)}`);
    expect(failures).toEqual([]);
    expect(summary.worlds).toBe(WORLDS);
    // A verdict row that never occurs in these worlds is not tested by them.
    expect(summary.restarts).toBeGreaterThan(WORLDS / 2);
    expect(Object.keys(summary.rows).length).toBeGreaterThanOrEqual(18);
  });

  // A job that never occurs in these worlds makes the rules about moving guests untested.
  it('contain answers with every job of a migration', async () => {
    const jobs = new Set<string>();
    for (let seed = 1; seed <= 20; seed += 1) for (const job of (await simulate({ seed })).jobs) jobs.add(job);
    expect([...jobs].sort()).toEqual(['incoming', 'none', 'outgoing', 'unknown']);
  });

  it('write identical ledgers for identical seeds', async () => {
    for (const seed of [1, 2, 3]) {
      const [one, other] = [await simulate({ seed }), await simulate({ seed })];
      expect(other.entries).toBeGreaterThan(0);
      expect(other.head).toBe(one.head);
      expect(other.entries).toBe(one.entries);
    }
  });
});
