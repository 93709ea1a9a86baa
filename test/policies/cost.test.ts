import { describe, expect, it } from 'vitest';
import { costOf, costs, costTexts } from '../../policies/cost.ts';
import type { Truth } from '../../policies/truth.ts';
import type { Outcome } from '../../policies/view.ts';
import { D, S } from './world.ts';

const onD: Truth = { host: D, power: 'running', basis: 'witnessed' };
const outcome = (host: string | null, action: Outcome['action']): Outcome => ({ host, action, at: 0 });

describe('the cost of a decision', () => {
  it('has a description for each code', () => {
    expect(Object.keys(costTexts)).toEqual([...costs]);
  });

  it.each(['complete', 'roll back', 'leave', 'destroy on destination'] as const)(
    'is none if the action "%s" names the right host',
    (action) => {
      expect(costOf(outcome(D, action), onD)).toBe('none');
    },
  );

  it('depends on the power of the guest for a rollback', () => {
    expect(costOf(outcome(S, 'roll back'), onD)).toBe('two-writers-possible');
    expect(costOf(outcome(S, 'roll back'), { ...onD, power: 'paused' })).toBe('lock-on-wrong-host');
  });

  it.each(['leave', 'complete'] as const)('is lock-on-wrong-host if the action "%s" names the wrong host', (action) => {
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
  ] as const)('depends on the destroyed domain: %s gives %s', (hits, cost) => {
    expect(costOf({ ...outcome(S, 'destroy on destination'), hits }, onD)).toBe(cost);
  });

  it('depends on the power of a guest that is declared dead', () => {
    expect(costOf(outcome(null, 'fail'), onD)).toBe('false-alarm');
    expect(costOf(outcome(null, 'fail'), { ...onD, power: 'paused' })).toBe('false-alarm');
    expect(costOf(outcome(null, 'fail'), { ...onD, power: 'stopped' })).toBe('none');
  });

  it.each([
    ['manual', 'manual'],
    ['error', 'undecided'],
    ['wait', 'undecided'],
  ] as const)('depends on the action: %s gives %s', (action, cost) => {
    expect(costOf(outcome(null, action), onD)).toBe(cost);
  });
});
