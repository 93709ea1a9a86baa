import { describe, expect, it } from 'vitest';
import { parseHeads, requireHeads } from '../../cli/commands/topic-audit.ts';

const head = (partition: number, sequence: number) => `${partition}:${sequence}:${String(sequence).repeat(64)}`;
const heads = [head(0, 1), head(1, 2), head(2, 3)].join(',');

describe('the parser of chain heads of a topic', () => {
  it('accepts the heads of all partitions as the audit prints them', () => {
    const taken = requireHeads(parseHeads(heads), 3);
    expect([...taken].map(([partition, { sequence }]) => [partition, sequence])).toEqual([
      [0, 1],
      [1, 2],
      [2, 3],
    ]);
    expect(requireHeads(parseHeads(undefined), 3).size).toBe(0);
  });

  it.each([
    ['garbage', 'garbage', /head/],
    ['an empty text', '', /head/],
    ['a missing partition', `${head(1, 2)},${head(2, 3)}`, /head of partition 0 is missing/],
    ['a repeated partition', `${heads},${head(0, 1)}`, /partition 0 has two heads/],
    ['an unknown partition', `${heads},${head(3, 1)}`, /no partition 3/],
    ['a head without its partition', heads.replace(/^0:/, ''), /does not name its partition/],
  ])('rejects heads with %s', (_, text, why) => {
    const take = () => requireHeads(parseHeads(text), 3);
    expect(take).toThrow(expect.objectContaining({ code: 'BAD_HEAD', message: expect.stringMatching(why) }));
  });
});
