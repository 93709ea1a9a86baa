import type { AttemptState } from '../../../events/attempt.ts';
import { path } from '../../../machines/chart.ts';

/**
 * Returns true for a state in which an attempt may end: settled, superseded, contested with a failed call, or
 * provisional.
 */
export function isAtRest({ value, attempt }: AttemptState): boolean {
  switch (path(value)) {
    case 'Completed.settled':
    case 'RolledBack.settled':
    case 'RolledBack.superseded':
    case 'Completed.provisional':
      return true;
    case 'RolledBack.contested':
      return attempt.steps.every((step) => step.status === 'done' || step.status === 'dropped');
    default:
      return false;
  }
}

export function describe({ value, attempt }: AttemptState): string {
  const steps = attempt.steps
    .filter((step) => step.status !== 'done')
    .map((step) => `${step.command} ${step.status}${step.error === null ? '' : ` (${step.error})`}`);
  return `${attempt.migration} is still ${path(value)}${steps.length > 0 ? `: ${steps.join(', ')}` : ''}`;
}
