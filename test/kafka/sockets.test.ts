import type { LookupFunction } from 'node:net';
import { describe, expect, it } from 'vitest';
import { oneAtATime } from '../../kafka/sockets.ts';

describe('oneAtATime', () => {
  const asked: { name: string; answer: Parameters<LookupFunction>[2] }[] = [];
  const lookup = oneAtATime((name, _options, answer) => asked.push({ name, answer }));
  const look = (name: string) =>
    new Promise((resolve, reject) => {
      lookup(name, { all: false }, (error, address) => (error === null ? resolve(address) : reject(error)));
    });

  it('shares one pending lookup among requests for the same host name', async () => {
    const gone = Array.from({ length: 20 }, () => look('gone'));
    const there = look('there');
    expect(asked.map(({ name }) => name)).toEqual(['gone', 'there']);
    asked[1]?.answer(null, '10.0.0.1', 4);
    await expect(there).resolves.toBe('10.0.0.1');
    asked[0]?.answer(new Error('EAI_AGAIN'), '');
    for (const each of gone) await expect(each).rejects.toThrow('EAI_AGAIN');
    void look('gone').catch(() => {});
    expect(asked).toHaveLength(3);
  });
});
