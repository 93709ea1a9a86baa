import { describe, expect, it } from 'vitest';
import { Standstill } from '../../kafka/standstill.ts';

describe('the search for stalled partitions', () => {
  it('finds partitions that are behind without progress for ten seconds', () => {
    const standstill = new Standstill();
    const at = (...behind: [partition: number, offset: number][]) => new Map(behind);
    expect(standstill.look(at([0, 5], [1, 5], [2, 5]), 0)).toEqual([]);
    expect(standstill.look(at([0, 5], [1, 6]), 9000)).toEqual([]);
    expect(standstill.look(at([0, 5], [1, 6], [2, 5]), 10_000)).toEqual([0]);
    expect(standstill.look(at([0, 5], [1, 6], [2, 5]), 19_000)).toEqual([0, 1]);
    standstill.reset();
    expect(standstill.look(at([0, 5], [1, 6], [2, 5]), 20_000)).toEqual([]);
  });
});
