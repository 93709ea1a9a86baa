import { unreachable } from '../events/fault.ts';
import type { Power } from '../events/vocabulary.ts';
import type { Reading } from './presence.ts';

/** Returns the guest's power according to one reading. */
export function powerOf({ presence }: Pick<Reading, 'presence'>): Power {
  switch (presence) {
    case 'executing':
    case 'postcopy':
      return 'running';
    case 'suspended':
    case 'switching':
    case 'incoming':
      return 'paused';
    case 'broken':
      return 'broken';
    case 'off':
    case 'absent':
    case 'handed-over':
      return 'stopped';
    case 'postcopy-failed':
      return 'lost';
    case 'unknown':
      return 'unknown';
    default:
      return unreachable(presence);
  }
}
