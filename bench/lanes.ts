import type { Driver } from '../engine/driver.ts';
import { take } from './landfall.ts';
import { type Course, POLL_SECONDS, TRANSITIONS_PER_ATTEMPT } from './workload.ts';

/** Counts the lanes, so that every lane gets a clock of its own. Time on a clock never goes back. */
let made = 0;

/**
 * Attempts in flight. Each attempt has one input in progress and sends the next input when that one is durable. The inputs of a
 * lane are committed together; while one lane waits for the disk, the next lane is processed, as in engine/partition-loop.ts.
 * Each lane has its own clock, so a durable timer is due when its lane reaches the timer's time.
 */
export class Lanes {
  readonly #driver: Driver;
  readonly #perCommit: number;
  readonly #number: number;
  /** The time on the clock of each lane, in milliseconds. */
  readonly #times: number[];

  constructor(driver: Driver, lanes: number, perCommit: number) {
    this.#driver = driver;
    this.#perCommit = perCommit;
    made += 1;
    this.#number = made;
    this.#times = Array.from({ length: lanes }, () => 1);
  }

  /** Runs attempts until all are settled. @returns the number of durable transitions. */
  async run(courses: readonly Course[]): Promise<number> {
    const queue = groupsOf(courses, this.#perCommit);
    const { partition } = this.#driver;
    await Promise.all(
      this.#times.map(async (_, lane) => {
        for (let group = queue.shift(); group !== undefined; group = queue.shift()) await this.#runGroup(group, lane);
      }),
    );
    if (partition.openCount > 0) throw new Error(`${partition.openCount} attempts are not settled`);
    return courses.length * TRANSITIONS_PER_ATTEMPT;
  }

  async #runGroup(group: readonly Course[], lane: number): Promise<void> {
    await this.#takeAll(group, (course) => course.beforeTimer, lane);
    const fired = this.#driver.partition.fire(this.#advance(lane, POLL_SECONDS * 1000), this.#clockOf(lane));
    if (fired !== group.length) throw new Error(`${fired} timers fired of ${group.length}`);
    await this.#driver.flush();
    await this.#takeAll(group, (course) => course.afterTimer, lane);
  }

  async #takeAll(
    group: readonly Course[],
    textsOf: (course: Course) => readonly string[],
    lane: number,
  ): Promise<void> {
    const steps = group[0] === undefined ? 0 : textsOf(group[0]).length;
    for (let step = 0; step < steps; step += 1) {
      const now = this.#advance(lane, 1);
      for (const course of group) take(this.#driver, textsOf(course)[step] ?? '', now, this.#clockOf(lane));
      await this.#driver.flush();
    }
  }

  #clockOf(lane: number): string {
    return `lane-${this.#number}-${lane}`;
  }

  #advance(lane: number, ms: number): number {
    const now = (this.#times[lane] ?? 0) + ms;
    this.#times[lane] = now;
    return now;
  }
}

function groupsOf<T>(items: readonly T[], size: number): T[][] {
  const groups: T[][] = [];
  for (let start = 0; start < items.length; start += size) groups.push(items.slice(start, start + size));
  return groups;
}
