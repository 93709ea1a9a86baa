import { describe, expect, it } from 'vitest';
import { ClockSkew } from '../../consumers/clock-skew.ts';

const now = Date.UTC(2026, 10, 23, 12);

function warnings(...times: (string | undefined)[]): string[] {
  const skew = new ClockSkew();
  for (const [index, time] of times.entries()) skew.observe(time, `f:${index + 1}`, now);
  const lines: string[] = [];
  skew.report((text) => lines.push(text));
  return lines;
}

describe('ClockSkew', () => {
  it.each([
    undefined,
    '2026-11-23T12:00:00Z',
    '2026-11-23T12:59:00Z',
    '2026-01-01T00:00:00Z',
    '2026-11-23T23:30:00+12:00',
  ])('gives no warning for the event time %s', (time) => {
    expect(warnings(time)).toEqual([]);
  });

  it.each([
    ['2027-11-23T12:00:00Z', '365 days ahead of'],
    ['2026-11-23T15:00:00Z', '3 hours ahead of'],
    ['1970-01-01T00:00:00Z', '57 years behind'],
  ])('gives a warning for the event time %s', (time, words) => {
    expect(warnings(time)).toEqual([expect.stringContaining(`time ${time} (f:1) is ${words} this machine's clock.`)]);
  });

  it('gives one warning for several wrong times', () => {
    const [text, ...others] = warnings('1970-01-01T00:00:00Z', undefined, '2099-01-01T00:00:00Z');
    expect(others).toEqual([]);
    expect(text).toContain('(f:1)');
    expect(text).toContain('and 1 more like it');
  });
});
