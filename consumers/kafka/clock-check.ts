import { Fault } from '../../events/fault.ts';
import { WALL } from '../../events/vocabulary.ts';
import type { Directory } from '../../log/directory.ts';

/** The largest tolerated difference between this machine's clock and the last entry. */
const CLOCK_BEHIND_MAX_MS = 1000;

/**
 * Returns null if the clock is right. An owner with a slow clock would give new entries old times and fire deadlines
 * late.
 */
export function clockBehind(past: Pick<Directory, 'times'>, now: number): Fault | null {
  for (const [clock, time] of past.times()) {
    if (clock !== WALL || time <= now + CLOCK_BEHIND_MAX_MS) continue;
    const behind = Math.round((time - now) / 1000);
    return new Fault(
      'CLOCK_BEHIND',
      `this machine's clock is ${behind} s behind the ledger's last entry`,
      'Correct the clock; until then other instances decide the partition.',
    );
  }
  return null;
}
