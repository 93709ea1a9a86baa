import { describe, expect, it } from 'vitest';
import { check } from './exhaustive/check.ts';
import { explore, type Order } from './exhaustive/explore.ts';

/**
 * Explores every order without faults, and every situation with up to two faults if each exception to the order of sending counts
 * as a fault. One fault in any order, and three faults, are explored breadth first up to a limit; exhaustive.long.test.ts
 * explores them completely.
 */
const STATES_MAX = 1_000_000;

describe('every interleaving of one migration on two hosts (bounded)', () => {
  it.each<[faults: number, order: Order, statesMax: number]>([
    [0, 'any', STATES_MAX],
    [1, 'any', 60_000],
    [1, 'in-order', STATES_MAX],
    [2, 'in-order', STATES_MAX],
    [3, 'in-order', 50_000],
  ])('keeps the invariants with up to %i faults, delivered %s', (faults, order, statesMax) => {
    const { violations, verdicts, ...size } = explore(faults, order, statesMax, check);
    console.log(
      `exhaustive, ${faults} faults, ${order}: ${JSON.stringify({ ...size, verdicts: Object.fromEntries(verdicts) })}`,
    );
    expect(violations).toEqual([]);
    expect(size.complete).toBe(statesMax === STATES_MAX);
  });
});
