import { unreachable } from '../events/fault.ts';
import type { Presence } from '../events/vocabulary.ts';
import type { Truth } from './truth.ts';
import type { Outcome } from './view.ts';

/**
 * Computes the cost of a decision by comparing it with the guest's true host. Consequences after the decision are not
 * simulated.
 */

export const costs = [
  'none',
  'undecided',
  'manual',
  'false-alarm',
  'migration-killed',
  'lock-on-wrong-host',
  'guest-killed',
  'two-writers-possible',
] as const;
export type Cost = (typeof costs)[number];

/** Ordered like `costs`, the mildest first. */
export const costTexts: Readonly<Record<Cost, string>> = {
  none: 'nothing: the record names the host that has the guest, or a dead guest was declared dead',
  undecided: 'the record names no host; the VM is in error until somebody looks',
  manual: 'nothing is touched, and a person has to decide',
  'false-alarm': 'a guest that was alive is declared dead, to be torn down or started a second time',
  'migration-killed':
    'the destination’s incoming half is destroyed: the migration that would have arrived dies with it',
  'lock-on-wrong-host': 'record and locks are with a host that does not have the guest',
  'guest-killed': 'the guest is destroyed on the destination where it had arrived',
  'two-writers-possible':
    'locks and running state are restored on one host while the guest runs on the other: both may write to the disk',
};

export function costOf(outcome: Outcome, truth: Truth): Cost {
  if (outcome.host !== null && outcome.host === truth.host) return 'none';
  const { action } = outcome;
  switch (action) {
    case 'destroy on destination':
      return costOfDestroying(outcome.hits ?? 'unknown');
    case 'roll back':
      // A guest that is not running writes nothing, so only the lock is wrong.
      return truth.power === 'running' ? 'two-writers-possible' : 'lock-on-wrong-host';
    case 'complete':
    case 'leave':
      return 'lock-on-wrong-host';
    case 'fail':
      return isAlive(truth) ? 'false-alarm' : 'none';
    case 'manual':
      return 'manual';
    case 'error':
    case 'wait':
      return 'undecided';
    default:
      return unreachable(action);
  }
}

/**
 * The guest is not on the source. If the destination did not answer, the command had no effect, and only the lock is
 * wrong.
 */
function costOfDestroying(hits: Presence): Cost {
  switch (hits) {
    case 'executing':
    case 'suspended':
    case 'broken':
    case 'postcopy':
    case 'postcopy-failed':
      return 'guest-killed';
    case 'incoming':
      return 'migration-killed';
    default:
      return 'lock-on-wrong-host';
  }
}

const isAlive = ({ power }: Truth) => power === 'running' || power === 'paused' || power === 'broken';
