import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { steadyTime } from '../../engine/time.ts';

const HOUR_MS = 3_600_000;

beforeEach(() => vi.useFakeTimers({ now: 10 * HOUR_MS }));
afterEach(() => vi.useRealTimers());

describe('the clock of the engine', () => {
  it('does not go back when the system clock is set back', () => {
    const time = steadyTime();
    vi.advanceTimersByTime(1000);
    expect(time.now()).toBe(10 * HOUR_MS + 1000);
    vi.setSystemTime(9 * HOUR_MS);
    expect(time.now()).toBe(10 * HOUR_MS + 1000);
    vi.advanceTimersByTime(5000);
    expect(time.now()).toBe(10 * HOUR_MS + 6000);
    vi.setSystemTime(11 * HOUR_MS);
    expect(time.now()).toBe(11 * HOUR_MS);
  });

  it('starts at the ledger’s last time if the system clock is behind', () => {
    const time = steadyTime();
    time.reach?.(12 * HOUR_MS);
    vi.advanceTimersByTime(2000);
    expect(time.now()).toBe(12 * HOUR_MS + 2000);
    time.reach?.(HOUR_MS);
    expect(time.now()).toBe(12 * HOUR_MS + 2000);
  });
});
