import { type Time, wallTime } from './loop.ts';

/**
 * The wall clock, but for being set back: then it goes on by the monotonic clock, ahead of the wall, so that deadlines keep
 * their distance. An entry's time never goes back either (invariant 8).
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
