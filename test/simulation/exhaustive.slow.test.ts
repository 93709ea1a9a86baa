import { describe, expect, it } from 'vitest';
import { check } from './exhaustive/check.ts';
import { explore, type Order } from './exhaustive/explore.ts';

/**
 * Every order is visited where nothing fails, and every situation with up to two faults where each exception to the order of
 * sending counts as one. One fault in any order, and three faults, are bounded here: breadth first, until so many situations are
 * known. exhaustive.long.test.ts visits all of them.
 */
const STATES_MAX = 1_000_000;

describe('every interleaving of one migration on two hosts', () => {
  it.each<[faults: number, order: Order, statesMax: number]>([
    [0, 'any', STATES_MAX],
    [1, 'any', 60_000],
    [1, 'in-order', STATES_MAX],
    [2, 'in-order', STATES_MAX],
    [3, 'in-order', 50_000],
  ])('with up to %i faults, %s, keeps the invariants', { timeout: 180_000 }, (faults, order, statesMax) => {
    const { violations, verdicts, ...size } = explore(faults, order, statesMax, check);
    console.log(
      `exhaustive, ${faults} faults, ${order}: ${JSON.stringify({ ...size, verdicts: Object.fromEntries(verdicts) })}`,
    );
    expect(violations).toEqual([]);
    expect(size.complete).toBe(statesMax === STATES_MAX);
  });
});
