import { describe, expect, it } from 'vitest';
import { costOf, costs, costTexts } from '../../policies/cost.ts';
import type { Truth } from '../../policies/truth.ts';
import type { Outcome } from '../../policies/view.ts';
import { D, S } from './world.ts';

const onD: Truth = { host: D, power: 'running', basis: 'witnessed' };
const outcome = (host: string | null, action: Outcome['action']): Outcome => ({ host, action, at: 0 });

describe('the cost of a decision', () => {
  it('has words for each code', () => {
    expect(Object.keys(costTexts)).toEqual([...costs]);
  });

  it.each(['complete', 'roll back', 'leave', 'destroy on destination'] as const)(
    'is none where %s names the right host',
    (action) => {
      expect(costOf(outcome(D, action), onD)).toBe('none');
    },
  );

  it('of a rollback depends on whether the guest writes elsewhere', () => {
    expect(costOf(outcome(S, 'roll back'), onD)).toBe('two-writers-possible');
    expect(costOf(outcome(S, 'roll back'), { ...onD, power: 'paused' })).toBe('lock-on-wrong-host');
  });

  it.each(['leave', 'complete'] as const)('of a wrong %s is a lock with the wrong host', (action) => {
    expect(costOf(outcome(S, action), onD)).toBe('lock-on-wrong-host');
  });

  it.each([
    ['executing', 'guest-killed'],
    ['suspended', 'guest-killed'],
    ['broken', 'guest-killed'],
    ['postcopy', 'guest-killed'],
    ['postcopy-failed', 'guest-killed'],
    ['incoming', 'migration-killed'],
    ['unknown', 'lock-on-wrong-host'],
    ['absent', 'lock-on-wrong-host'],
  ] as const)('of destroying what is %s on the destination is %s', (hits, cost) => {
    expect(costOf({ ...outcome(S, 'destroy on destination'), hits }, onD)).toBe(cost);
  });

  it('of declaring a guest dead depends on whether it is', () => {
    expect(costOf(outcome(null, 'fail'), onD)).toBe('false-alarm');
    expect(costOf(outcome(null, 'fail'), { ...onD, power: 'paused' })).toBe('false-alarm');
    expect(costOf(outcome(null, 'fail'), { ...onD, power: 'stopped' })).toBe('none');
  });

  it.each([
    ['manual', 'manual'],
    ['error', 'undecided'],
    ['wait', 'undecided'],
  ] as const)('of %s is %s', (action, cost) => {
    expect(costOf(outcome(null, action), onD)).toBe(cost);
  });
});
