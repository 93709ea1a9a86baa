import type { Attempt, Step } from '../events/attempt.ts';
import { isOver } from './effects.ts';
import { isFenced } from './fencing.ts';

/** Ends steps that need no acknowledgement any more, because their host is fenced or their lease has expired. */

const ended = (step: Step, why: string): Step => ({ ...step, status: 'done', error: null, ended: why });

/**
 * Ends the steps on fenced hosts. A fenced host holds no lock and no copy of the guest any more, and it can execute no command.
 */
export function endStepsOnFencedHosts(attempt: Attempt): Attempt {
  const steps = attempt.steps.map((step): Step => {
    if (isOver(step) || step.host === null || !isFenced(attempt, step.host)) return step;
    if (step.kind === 'release-lock' || step.kind === 'destroy-leftover') return ended(step, 'the host is fenced');
    const isCommand = step.kind === 'acquire-lock' || step.kind === 'resume-guest';
    return isCommand ? { ...step, status: 'dropped', error: 'the host is fenced' } : step;
  });
  return { ...attempt, steps };
}

/** Ends the releases of a lease that the lock manager itself reports as expired. */
export function endReleaseOfExpired(attempt: Attempt, host: string, volume: string): Attempt {
  const isIt = (step: Step) =>
    step.kind === 'release-lock' && step.host === host && step.volume === volume && !isOver(step);
  if (!attempt.steps.some(isIt)) return attempt;
  return { ...attempt, steps: attempt.steps.map((step) => (isIt(step) ? ended(step, 'the lease has expired') : step)) };
}
