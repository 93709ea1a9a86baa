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
  none: 'no cost: the record names the right host, or a dead guest is declared dead',
  undecided: 'the record names no host; the VM is in error until an operator checks it',
  manual: 'nothing changes, and an operator must decide',
  'false-alarm': 'a live guest is declared dead and may be destroyed or started a second time',
  'migration-killed':
    'the incoming domain on the destination is destroyed, which ends a migration that would have succeeded',
  'lock-on-wrong-host': 'record and locks name a host without the guest',
  'guest-killed': 'the guest is destroyed on the destination after its arrival',
  'two-writers-possible':
    'locks and running state are restored on one host while the guest runs on the other; both hosts may write to the disk',
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
 * Returns the cost of destroying the domain on the destination of a guest that is not on the source. If the destination
 * did not answer, the command had no effect, and only the lock is wrong.
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
