import type { Fault } from '../../events/fault.ts';

/** How long an obstacle must last before the partition is declined, because many obstacles pass on their own. */
const PATIENCE_MS = 5000;
const WAIT_MS_MIN = 10_000;
const WAIT_MS_MAX = 600_000;

type Declined = { readonly fault: Fault; readonly until: number };
type Earlier = { readonly waitMs: number; readonly takenAt: number };

/**
 * The partitions this instance declines: partitions assigned to it that it cannot decide for a reason of its own, such as a slow
 * clock, a damaged replica or a full disk. A partition is accepted again once the obstacle is gone and a delay has passed,
 * because every change makes the group rebalance.
 */
export class DeclinedPartitions {
  /** Why this instance, unlike the rest of the group, cannot decide a partition; null if it can. */
  readonly #obstacle: (partition: number) => Fault | null;
  /** When the obstacle of each assigned partition was first seen. */
  readonly #since = new Map<number, number>();
  readonly #declined = new Map<number, Declined>();
  readonly #earlier = new Map<number, Earlier>();

  constructor(obstacle: (partition: number) => Fault | null) {
    this.#obstacle = obstacle;
  }

  get partitions(): number[] {
    return [...this.#declined.keys()];
  }

  /** Why the first declined partition is declined; null if none is declined. */
  get fault(): Fault | null {
    const [first] = this.#declined.values();
    return first?.fault ?? null;
  }

  /**
   * Declines and accepts partitions as of `now`.
   * @param down assigned partitions that are not being decided.
   * @returns whether the declined partitions changed.
   */
  look(down: readonly number[], now: number): boolean {
    const taken = this.#acceptAgain(now);
    for (const partition of this.#since.keys()) if (!down.includes(partition)) this.#since.delete(partition);
    const declined = down.filter((partition) => !this.#declined.has(partition) && this.#decline(partition, now));
    return taken || declined.length > 0;
  }

  #acceptAgain(now: number): boolean {
    let changed = false;
    for (const [partition, { until }] of this.#declined) {
      const fault = this.#obstacle(partition);
      if (fault !== null) this.#declined.set(partition, { fault, until });
      else if (now >= until) {
        this.#declined.delete(partition);
        const waitMs = this.#earlier.get(partition)?.waitMs ?? WAIT_MS_MIN;
        this.#earlier.set(partition, { waitMs, takenAt: now });
        changed = true;
      }
    }
    return changed;
  }

  #decline(partition: number, now: number): boolean {
    const fault = this.#obstacle(partition);
    if (fault === null) {
      this.#since.delete(partition);
      return false;
    }
    const since = this.#since.get(partition) ?? now;
    this.#since.set(partition, since);
    if (now - since < PATIENCE_MS) return false;
    this.#since.delete(partition);
    const waitMs = this.#nextWait(partition, now);
    this.#earlier.set(partition, { waitMs, takenAt: now });
    this.#declined.set(partition, { fault, until: now + waitMs });
    return true;
  }

  /** Returns the delay before the partition is accepted again. An obstacle that returns soon doubles the delay. */
  #nextWait(partition: number, now: number): number {
    const earlier = this.#earlier.get(partition);
    if (earlier === undefined || now - earlier.takenAt > WAIT_MS_MAX) return WAIT_MS_MIN;
    return Math.min(2 * earlier.waitMs, WAIT_MS_MAX);
  }
}
