import { describe, expect, it } from 'vitest';
import { simulate } from './simulate.ts';
import { everyFault } from './world/faults.ts';
import { simulateWorlds } from './worlds.ts';

/** The fast suite simulates the seeds below this one. */
const FROM = 301;
const WORLDS = 1500;

describe('simulated worlds', () => {
  it(`break no invariant with ${WORLDS} more seeds`, { timeout: 900_000 }, async () => {
    const { failures, ...summary } = await simulateWorlds(FROM, WORLDS);
    console.log(`simulation: ${JSON.stringify(summary)}`);
    expect(failures).toEqual([]);
    expect(summary.worlds).toBe(WORLDS);
    expect(summary.restarts).toBeGreaterThan(WORLDS / 2);
    expect(Object.keys(summary.rows).length).toBeGreaterThanOrEqual(18);
  });

  it('contain every kind of fault', async () => {
    const happened = new Set<string>();
    for (let seed = 1; seed <= 250 && happened.size < everyFault.size; seed += 1) {
      for (const kind of (await simulate({ seed })).happened.keys()) happened.add(kind);
    }
    expect(everyFault.size).toBeGreaterThan(0);
    expect([...everyFault].filter((kind) => !happened.has(kind))).toEqual([]);
  });
});
