import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { OffsetsHint } from '../../log/kafka/offsets-hint.ts';

const at = (next: number) => ({ group: 'g', topic: 'inputs', partition: 0, next });

function hinting() {
  const woken = vi.fn<() => void>();
  return { woken, hint: new OffsetsHint(woken) };
}

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

describe('OffsetsHint', () => {
  it('adds the offset to the first transaction, then once per second', () => {
    const { hint } = hinting();
    expect(hint.along(at(1))).toEqual(at(1));
    vi.advanceTimersByTime(400);
    expect([hint.along(at(2)), hint.along(at(3))]).toEqual([null, null]);
    vi.advanceTimersByTime(600);
    expect(hint.along(at(4))).toEqual(at(4));
    expect(hint.isDue).toBe(false);
  });

  it('becomes due after a second without a transaction', () => {
    const { hint, woken } = hinting();
    hint.along(at(1));
    hint.along(at(2));
    vi.advanceTimersByTime(1000);
    expect([woken.mock.calls.length, hint.isDue]).toEqual([1, true]);
    expect(hint.along(null)).toEqual(at(2));
    vi.advanceTimersByTime(10_000);
    expect([woken.mock.calls.length, hint.isDue, hint.along(null)]).toEqual([1, false, null]);
  });

  it('is due at once on release and never after a discard', () => {
    const { hint, woken } = hinting();
    hint.along(at(1));
    hint.along(at(2));
    hint.hurry();
    expect([woken.mock.calls.length, hint.along(null)]).toEqual([1, at(2)]);
    hint.along(at(3));
    hint.forget();
    vi.advanceTimersByTime(10_000);
    expect([woken.mock.calls.length, hint.isDue]).toEqual([1, false]);
  });
});
