import type { Fault } from '../../events/fault.ts';

/**
 * Which partitions this instance declines. One that it was given and cannot decide, for a reason of its own (its clock is
 * behind, its copy is damaged, its disk is full), is of more use to another instance. It is taken again once the reason is
 * gone, and not before some time has passed: each change makes the group share out all partitions anew.
 */

/** What may pass by itself is waited for. */
const PATIENCE_MS = 5000;
const WAIT_MS_MIN = 10_000;
const WAIT_MS_MAX = 600_000;

type Declined = { readonly fault: Fault; readonly until: number };
type Earlier = { readonly waitMs: number; readonly takenAt: number };

export class DeclinedPartitions {
  /** What keeps this instance, and not every one, from deciding a partition; null: nothing. */
  readonly #obstacle: (partition: number) => Fault | null;
  /** Since when it was seen in the way of a partition that was given. */
  readonly #since = new Map<number, number>();
  readonly #declined = new Map<number, Declined>();
  readonly #earlier = new Map<number, Earlier>();

  constructor(obstacle: (partition: number) => Fault | null) {
    this.#obstacle = obstacle;
  }

  get partitions(): number[] {
    return [...this.#declined.keys()];
  }

  /** Why the first of them is declined; null: none is. */
  get fault(): Fault | null {
    const [first] = this.#declined.values();
    return first?.fault ?? null;
  }

  /**
   * @param down partitions that were given and are not decided.
   * @returns whether others are declined than before.
   */
  look(down: readonly number[], now: number): boolean {
    const taken = this.#takeAgain(now);
    for (const partition of this.#since.keys()) if (!down.includes(partition)) this.#since.delete(partition);
    const declined = down.filter((partition) => !this.#declined.has(partition) && this.#isToDecline(partition, now));
    return taken || declined.length > 0;
  }

  #takeAgain(now: number): boolean {
    let some = false;
    for (const [partition, { until }] of this.#declined) {
      const fault = this.#obstacle(partition);
      if (fault !== null) this.#declined.set(partition, { fault, until });
      else if (now >= until) {
        this.#declined.delete(partition);
        const waitMs = this.#earlier.get(partition)?.waitMs ?? WAIT_MS_MIN;
        this.#earlier.set(partition, { waitMs, takenAt: now });
        some = true;
      }
    }
    return some;
  }

  #isToDecline(partition: number, now: number): boolean {
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

  /** What comes back soon after it was gone is waited for twice as long. */
  #nextWait(partition: number, now: number): number {
    const earlier = this.#earlier.get(partition);
    if (earlier === undefined || now - earlier.takenAt > WAIT_MS_MAX) return WAIT_MS_MIN;
    return Math.min(2 * earlier.waitMs, WAIT_MS_MAX);
  }
}
