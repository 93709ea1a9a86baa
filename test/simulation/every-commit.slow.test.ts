import { describe, expect, it } from 'vitest';
import { killAtEveryCommit } from './every-commit.ts';

describe('a service killed at each commit', () => {
  it.each([2, 3, 5])('breaks no invariant (seed %i)', async (seed) => {
    const { runs, failures } = await killAtEveryCommit({ seed, vmsMax: 1 });
    console.log(`every commit of seed ${seed}: ${runs.length} worlds`);
    expect(failures.map(({ at, run }) => [at, run.violations[0]?.message])).toEqual([]);
    expect(runs.length).toBeGreaterThan(40);
    // The service was killed in every run, even in those with a kill at the first commits.
    expect(runs.every(({ restarts }) => restarts > 0)).toBe(true);
  });
});
