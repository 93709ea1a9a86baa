import { describe, expect, it } from 'vitest';
import { check } from './exhaustive/check.ts';
import { exploreAll, type Order } from './exhaustive/explore.ts';

/** exhaustive.slow.test.ts limits the number of states; here each search runs to its end. */
const MINUTES_MAX = 15;

describe('every interleaving of one migration on two hosts (complete)', () => {
  it.each<[faults: number, order: Order]>([
    [1, 'any'],
    [3, 'in-order'],
  ])(
    'keeps the invariants with up to %i faults, delivered %s',
    { timeout: (MINUTES_MAX + 1) * 60_000 },
    (faults, order) => {
      const until = performance.now() + MINUTES_MAX * 60_000;
      const { violations, verdicts, ...size } = exploreAll(faults, order, check, () => performance.now() > until);
      console.log(
        `exhaustive, ${faults} faults, ${order}: ${JSON.stringify({ ...size, verdicts: Object.fromEntries(verdicts) })}`,
      );
      expect(violations).toEqual([]);
      expect(size.complete).toBe(true);
    },
  );
});
