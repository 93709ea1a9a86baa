import type { AttemptState } from '../events/attempt.ts';
import type { Status } from '../events/vocabulary.ts';
import type { Verdict } from '../events/verdict.ts';
import { path, roleOf } from './chart.ts';

/**
 * The words for the status of an attempt. Every text of the command line, the service and the docs uses these words; the states of the
 * machine appear only in JSON and metrics.
 */

/** Texts of the docs and of the command line's help. */
export const statusTexts: Readonly<Record<Status, string>> = {
  migrating: 'The call has not returned, or it reported success and the first answers are not complete yet.',
  undecided:
    'The call failed, and no row of the verdict table decides yet. Landfall asks the hosts again until the deadline.',
  completed: 'The guest landed: on the destination, or on a third host if the verdict names one. Its locks move there.',
  provisional:
    'The evidence says that the guest landed, but a host that did not answer could still disprove it. Hooks and locks wait for proof.',
  'rolled back':
    'The guest stayed on the source (running, paused or stopped), and the migration is proven over. Its locks return to the source.',
  contested:
    'The guest may be on both hosts, may still be moving, or cannot be found. Locks stay as observed. Later evidence or an operator settles the attempt.',
};

type Outcome = Pick<Verdict, 'outcome' | 'contested' | 'certainty'>;

function statusOfVerdict({ outcome, contested, certainty }: Outcome): Status {
  if (contested) return 'contested';
  if (outcome === 'rolled-back') return 'rolled back';
  return certainty === 'provisional' ? 'provisional' : 'completed';
}

export function statusOf({ value, attempt }: Pick<AttemptState, 'value' | 'attempt'>): Status {
  const verdict = attempt.verdicts.at(-1);
  if (verdict?.contested === true) return 'contested';
  const role = roleOf(value);
  if (path(value).startsWith('Migrating')) return 'migrating';
  return verdict === undefined || role === 'undecided' || role === 'final-round'
    ? 'undecided'
    : statusOfVerdict(verdict);
}

/** Describes a verdict with the host that it names, such as `completed on host-b`. */
export function verdictPhrase(verdict: Outcome & Pick<Verdict, 'host'>): string {
  const status = statusOfVerdict(verdict);
  switch (status) {
    case 'contested':
      return `contested, record on ${verdict.host}`;
    case 'rolled back':
      return `rolled back to ${verdict.host}`;
    default:
      return `${status} on ${verdict.host}`;
  }
}
