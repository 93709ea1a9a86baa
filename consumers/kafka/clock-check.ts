import { Fault } from '../../events/fault.ts';
import { WALL } from '../../events/vocabulary.ts';
import type { Directory } from '../../log/directory.ts';

/** Clocks may differ by this much; an owner further behind than the last entry is not ready. */
const CLOCK_BEHIND_MAX_MS = 1000;

/** An owner whose clock is behind would give new entries the times of old ones, and keep deadlines late. Null: it is not. */
export function clockBehind(past: Pick<Directory, 'times'>, now: number): Fault | null {
  for (const [clock, time] of past.times()) {
    if (clock !== WALL || time <= now + CLOCK_BEHIND_MAX_MS) continue;
    const behind = Math.round((time - now) / 1000);
    return new Fault(
      'CLOCK_BEHIND',
      `this machine's clock is ${behind} s behind the ledger's last entry`,
      'Set the clock right; until then the partition is left to other instances.',
    );
  }
  return null;
}
