import type { Attempt } from '../events/attempt.ts';
import type { Notice, Verdict } from '../events/verdict.ts';
import type { Power } from '../events/vocabulary.ts';

/** Findings for an operator about a verdict that is right all the same. */

/**
 * Returns the notice that the guest's power is another one than before the call. A call that leaves the guest paused, and a source
 * that is resumed by row `stalled`, change nothing.
 */
export function powerNotices(
  { origin, leavePaused }: Attempt,
  { outcome, contested, row }: Pick<Verdict, 'outcome' | 'contested' | 'row'>,
  now: Power,
): Notice[] {
  const isKnown = now === 'running' || now === 'paused' || now === 'stopped';
  if (contested || origin === 'unknown' || !isKnown || now === origin) return [];
  const isMeant = (outcome === 'completed' && leavePaused && now === 'paused') || row === 'stalled';
  return isMeant ? [] : [{ code: 'power-changed', before: origin, now, text: textOf(origin, now) }];
}

function textOf(before: Power, now: Power): string {
  const means = {
    running: 'the guest runs now',
    paused: 'the guest stands still now, and nothing resumes it',
    stopped: 'the guest is stopped now',
  } as const;
  const is = now === 'running' || now === 'paused' || now === 'stopped' ? means[now] : `the guest is ${now} now`;
  return `the guest was ${before} before the call; ${is}`;
}
