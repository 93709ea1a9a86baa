import { describe, expect, it } from 'vitest';
import { delayedEventType, timerNotTaken, timersAfter } from '../../machines/timers.ts';
import { step } from '../../machines/step.ts';
import { Play } from '../support/machine-spec.ts';

const { state } = new Play({});
const inState = (value: typeof state.value) => ({ ...state, value });
const context = { now: state.attempt.startedAt, nextToken: 1 };

describe('delayedEventType', () => {
  it('finds the transition that a state declares for a kind of timer', () => {
    const event = delayedEventType(inState({ Rechecking: 'watching' }), 'recheck');
    expect(event).toBe('xstate.after.recheck.migration.Rechecking.watching');
  });

  it('finds the transition of a state without substates', () => {
    expect(delayedEventType(inState('ApiFailed'), 'question-limit')).toBe('xstate.after.question-limit.ApiFailed');
  });
});

describe('a timer that the current state does not declare', () => {
  const settled = inState({ Completed: 'settled' });

  it('causes an error that names kind, attempt and state', () => {
    const { migration } = state.attempt;
    const message = `the timer deadline of attempt ${migration} fell due, but state Completed.settled has no transition for it`;
    const fire = () => step(settled, {}, { type: 'timer', kind: 'deadline' }, context);
    expect(fire).toThrow(expect.objectContaining({ code: 'TIMER_NOT_TAKEN', message }));
    expect(() => timerNotTaken(settled, 'deadline')).toThrow(message);
  });

  it.each(['question-limit', 'recheck', 'deadline', 'command-retry'] as const)(
    'causes an error if it is %s',
    (kind) => {
      expect(() => delayedEventType(settled, kind)).toThrow(expect.objectContaining({ code: 'TIMER_NOT_TAKEN' }));
    },
  );
});

describe('timersAfter', () => {
  const recheck = 'xstate.after.recheck.migration.Rechecking.watching';
  const cancel = { type: 'xstate.cancel', params: { sendId: recheck } };
  const raise = (delay: number) => ({ type: 'xstate.raise', params: { id: recheck, delay } });
  const before = { recheck: { dueAt: 30, generation: 4 } };
  const after = (actions: Parameters<typeof timersAfter>[1], keepsState = true) =>
    timersAfter(before, actions, { now: 10, generation: 7, keepsState });

  it('removes a cancelled timer', () => {
    expect(after([cancel])).toEqual({ timers: {}, generation: 7 });
  });

  it('keeps the generation of a timer set to the same time', () => {
    expect(after([cancel, raise(20)])).toEqual({ timers: before, generation: 7 });
  });

  it('gives a timer set to another time a new generation', () => {
    expect(after([cancel, raise(21)])).toEqual({ timers: { recheck: { dueAt: 31, generation: 8 } }, generation: 8 });
  });

  it('gives a timer of another state a new generation', () => {
    expect(after([raise(20)], false)).toEqual({ timers: { recheck: { dueAt: 30, generation: 8 } }, generation: 8 });
  });

  it('sets no timer without a finite delay', () => {
    expect(after([cancel, raise(Number.POSITIVE_INFINITY)])).toEqual({ timers: {}, generation: 7 });
  });

  it('ignores actions that are not timers', () => {
    expect(after([{ type: 'take' }, { type: 'take', params: { id: recheck, delay: 1 } }])).toEqual({
      timers: before,
      generation: 7,
    });
  });
});
