import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../house/source-files.ts';
import { simulate } from './simulate.ts';
import { everyFault } from './world/faults.ts';

const WORLDS = 1200;

type Summary = {
  worlds: number;
  entries: number;
  restarts: number;
  rows: Record<string, number>;
  failures: { seed: number }[];
};

describe('a simulated world', () => {
  it(`breaks no invariant, over ${WORLDS} seeds`, { timeout: 300_000 }, async () => {
    const run = promisify(execFile);
    const args = ['scripts/simulate.ts', '--from', '1', '--seeds', String(WORLDS), '--json'];
    // A finding is exit code 1, and is then shown by its seed.
    const { stdout } = await run(process.execPath, args, { cwd: ROOT, maxBuffer: 1 << 26 }).catch(
      (error: { stdout: string }) => error,
    );
    const { failures, ...summary } = JSON.parse(stdout) as Summary;
    console.log(`simulation: ${JSON.stringify(summary)}`);
    expect(failures).toEqual([]);
    // What never comes up is not tested by it.
    expect(summary.restarts).toBeGreaterThan(WORLDS / 2);
    expect(Object.keys(summary.rows).length).toBeGreaterThanOrEqual(18);
  });

  it('is the same from the same seed, byte for byte', async () => {
    for (const seed of [1, 2, 3]) {
      const [one, other] = [await simulate({ seed }), await simulate({ seed })];
      expect(other.head).toBe(one.head);
      expect(other.entries).toBe(one.entries);
    }
  });

  it('knows every fault it says it knows', async () => {
    const happened = new Set<string>();
    for (let seed = 1; seed <= 250 && happened.size < everyFault.size; seed += 1) {
      for (const kind of (await simulate({ seed })).happened.keys()) happened.add(kind);
    }
    expect([...everyFault].filter((kind) => !happened.has(kind))).toEqual([]);
  });
});
