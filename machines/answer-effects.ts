import type { Attempt } from '../events/attempt.ts';
import { acknowledge, finishStepsOnEmptySource } from './effects.ts';
import { askedOf } from './evidence.ts';
import { powerOf } from './power.ts';
import type { Reading } from './presence.ts';
import { GONE, isOneOf } from './table.ts';
import { alarm } from './verdicts.ts';

/** Alarms and steps that follow from one answer, independent of its round. */

/** Raises the alarm of an answer that shows a process, a lease or a start outside this migration. */
export function raiseNotice(attempt: Attempt, reading: Reading, now: number): Attempt {
  if (attempt.returnedAt === null || reading.notice === undefined) return attempt;
  return alarm(attempt, reading.notice === 'starting-up' ? 'started-anew' : reading.notice, now);
}

/**
 * Finishes the steps that wait for an answer of the source: its leftover is gone, or the `ask-origin` question is answered.
 */
export function finishStepsBySourceAnswer(attempt: Attempt, reading: Reading): Attempt {
  const gone = finishStepsOnEmptySource(attempt, isOneOf(GONE, reading.presence) || reading.otherBoot === true);
  const asking = gone.steps.find((step) => step.kind === 'ask-origin' && step.status === 'sent');
  if (asking === undefined) return gone;
  return { ...acknowledge(gone, asking.command, true, undefined), originPower: powerOf(reading) };
}

/** The source did not answer the `ask-origin` question: its power is recorded as unknown, and the rollback continues. */
export function giveUpOrigin(attempt: Attempt): Attempt {
  const asking = attempt.steps.find((step) => step.kind === 'ask-origin' && step.status === 'sent');
  if (asking === undefined || askedOf(attempt, attempt.source).dueAt !== null) return attempt;
  return { ...acknowledge(attempt, asking.command, true, undefined), originPower: 'unknown' };
}
