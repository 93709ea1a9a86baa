import type { Attempt } from '../events/attempt.ts';
import type { InputData } from '../events/inputs.ts';
import { endAfterEvent } from './source-end.ts';

/**
 * Applies a lifecycle event. An event proves only the hand-over, a second copy, and the history of the destination's shell.
 */
export function recordLifecycle(attempt: Attempt, data: InputData<'landfall.host.lifecycle.v1'>): Attempt {
  if (data.host === attempt.source && attempt.source !== attempt.destination) {
    const ended = endAfterEvent(attempt, data);
    // The source resumes with this detail after it had stopped to hand over, so a second copy may run.
    if (data.event === 'Resumed' && data.detail === 'Migrated') return { ...ended, twoCopies: true };
    return data.event === 'Stopped' && data.detail === 'Migrated' ? { ...ended, handedOver: true } : ended;
  }
  if (data.host !== attempt.destination) return attempt;
  const { shell } = attempt;
  switch (data.event) {
    case 'Started':
      return data.detail === 'Migrated' ? { ...attempt, shell: { ...shell, started: true, stopped: false } } : attempt;
    case 'Resumed':
      return { ...attempt, shell: { ...shell, resumed: true, ran: shell.ran || shell.started } };
    case 'Stopped':
    case 'Crashed':
      // An end before the shell's start belongs to another domain.
      return {
        ...attempt,
        shell: { ...shell, stopped: shell.started, arrived: shell.arrived || data.detail === 'Migrated' },
      };
    default:
      return attempt;
  }
}

/** Records a gap in the destination's event stream. Events that did not arrive prove nothing from then on. */
export function breakStream(attempt: Attempt, host: string): Attempt {
  return host === attempt.destination ? { ...attempt, shell: { ...attempt.shell, unbroken: false } } : attempt;
}
