import { expect, it } from 'vitest';
import { parseHeads, requireHeads } from '../../cli/commands/topic-audit.ts';

const head = (partition: number, sequence: number) => `${partition}:${sequence}:${String(sequence).repeat(64)}`;
const heads = [head(0, 1), head(1, 2), head(2, 3)].join(',');

it('takes the heads of all partitions, as an audit prints them', () => {
  const taken = requireHeads(parseHeads(heads), 3);
  expect([...taken].map(([partition, { sequence }]) => [partition, sequence])).toEqual([
    [0, 1],
    [1, 2],
    [2, 3],
  ]);
  expect(requireHeads(parseHeads(undefined), 3).size).toBe(0);
});

it.each([
  ['garbage', 'is no head'],
  ['', 'is no head'],
  [`${head(1, 2)},${head(2, 3)}`, 'no head of partition 0'],
  [`${heads},${head(0, 1)}`, 'two heads of partition 0'],
  [`${heads},${head(3, 1)}`, 'no partition 3'],
  [heads.replace(/^0:/, ''), 'of which partition'],
])('refuses %j: %s', (text, why) => {
  const take = () => requireHeads(parseHeads(text), 3);
  expect(take).toThrow(expect.objectContaining({ code: 'BAD_HEAD', message: expect.stringContaining(why) }));
});
