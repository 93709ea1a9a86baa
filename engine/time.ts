/** The current time and alarms: the wall clock in production, a simulated clock in tests. */
export interface Time {
  /** Milliseconds since 1970. */
  now(): number;
  /** Calls back once, `ms` milliseconds from now at the earliest. Returns a function that cancels the call. */
  after(ms: number, callback: () => void): () => void;
  /** Calls back after the callbacks that are ready now, like `setImmediate`, which is the default. */
  soon?(callback: () => void): void;
  /** Moves the clock forward to `ms` if it is earlier. */
  reach?(ms: number): void;
}

/** The longest delay passed to `setTimeout`, whose limit is 2^31 - 1 ms. A longer alarm rings early, and its caller sets it again. */
const TIMEOUT_MAX_MS = 2_000_000_000;

export const wallTime: Time = {
  now: () => Date.now(),
  after: (ms, callback) => {
    const timer = setTimeout(callback, Math.min(ms, TIMEOUT_MAX_MS));
    return () => clearTimeout(timer);
  },
};

/**
 * Returns a wall clock that never goes back: after the machine's clock is set back, this clock follows the monotonic clock,
 * so that deadlines keep their distance (invariant 8).
 */
export function steadyTime(): Time {
  let ms = Date.now();
  let at = performance.now();
  return {
    ...wallTime,
    now: () => {
      const elapsed = performance.now() - at;
      at += elapsed;
      ms = Math.max(Date.now(), ms + elapsed);
      return Math.floor(ms);
    },
    reach: (least) => {
      ms = Math.max(ms, least);
    },
  };
}
