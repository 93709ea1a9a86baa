import { expect, it } from 'vitest';
import { ClockSkew } from '../../consumers/clock-skew.ts';

const now = Date.UTC(2026, 10, 23, 12);

function told(...times: (string | undefined)[]): string[] {
  const odd = new ClockSkew();
  for (const [index, time] of times.entries()) odd.see(time, `f:${index + 1}`, now);
  const said: string[] = [];
  odd.tell((text) => said.push(text));
  return said;
}

it.each([
  undefined,
  '2026-11-23T12:00:00Z',
  '2026-11-23T12:59:00Z',
  '2026-01-01T00:00:00Z',
  '2026-11-23T23:30:00+12:00',
])('a time of %s is nothing to speak of', (time) => {
  expect(told(time)).toEqual([]);
});

it.each([
  ['2027-11-23T12:00:00Z', '365 days ahead of'],
  ['2026-11-23T15:00:00Z', '3 hours ahead of'],
  ['1970-01-01T00:00:00Z', '57 years behind'],
])('a time of %s is told', (time, words) => {
  expect(told(time)).toEqual([expect.stringContaining(`time ${time} (f:1) is ${words} this machine's clock.`)]);
});

it('many of them are told at once', () => {
  const [text, ...others] = told('1970-01-01T00:00:00Z', undefined, '2099-01-01T00:00:00Z');
  expect(others).toEqual([]);
  expect(text).toContain('(f:1)');
  expect(text).toContain('and 1 more like it');
});
