/** Formats times for operators. A time is milliseconds since the epoch, or the ISO text of the JSON output. */

export type Instant = number | string;

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

export function millisecondsOf(time: Instant): number {
  return typeof time === 'number' ? time : Date.parse(time);
}

/** Formats a duration with at most three digits: `0.25 s`, `5.1 s`, `41 s`, `4 min 10 s`, `2 h 5 min`, `3 d 4 h`. */
export function duration(ms: number): string {
  if (!Number.isFinite(ms)) return '–';
  if (ms < 0) return `−${duration(-ms)}`;
  if (ms < 9_950) return `${(ms / SECOND).toFixed(ms < 995 ? 2 : 1)} s`;
  if (ms < MINUTE - 500) return `${Math.round(ms / SECOND)} s`;
  if (ms < HOUR - 500) return pair(Math.round(ms / SECOND), 60, 'min', 's');
  return ms < DAY - 30_000 ? pair(Math.round(ms / MINUTE), 60, 'h', 'min') : pair(Math.round(ms / HOUR), 24, 'd', 'h');
}

function pair(count: number, base: number, large: string, small: string): string {
  const rest = count % base;
  return `${Math.floor(count / base)} ${large}${rest === 0 ? '' : ` ${rest} ${small}`}`;
}

/**
 * Formats a time as `2026-11-23 11:57:27.827Z`. It is always UTC, because hosts and operators are in different zones.
 */
export function wall(time: Instant): string {
  const ms = millisecondsOf(time);
  return Number.isFinite(ms) ? new Date(ms).toISOString().replace('T', ' ') : String(time);
}

/** Formats the time of day as `11:57:27.827`. */
export function clock(time: Instant): string {
  return wall(time).slice(11, 23);
}

export function day(time: Instant): string {
  return wall(time).slice(0, 10);
}

/** Formats a signed offset as `+5.06 s`; offsets of a minute and more are formatted as durations. */
export function offset(ms: number): string {
  const sign = ms < 0 ? '−' : '+';
  const size = Math.abs(ms);
  return size < MINUTE ? `${sign}${(size / SECOND).toFixed(2)} s` : `${sign}${duration(size)}`;
}
