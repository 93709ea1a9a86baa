import type { Driver } from '../engine/driver.ts';
import { take } from './landfall.ts';
import { type Course, POLL_SECONDS, TRANSITIONS_PER_ATTEMPT } from './workload.ts';

/** How many there were: clocks are never used twice, for time does not go back on one. */
let made = 0;

/**
 * Attempts in flight: each has one input under way, and gets its next one when that is durable. They go in lanes; a lane's
 * inputs are committed together, and while one lane waits for the disk the next is worked on, as engine/partition-loop.ts does.
 *
 * Each lane has a clock of its own: a durable timer falls due when its lane has come to it.
 */
export class Lanes {
  readonly #driver: Driver;
  readonly #perCommit: number;
  readonly #number: number;
  /** The time on each lane's clock. */
  readonly #times: number[];

  constructor(driver: Driver, lanes: number, perCommit: number) {
    this.#driver = driver;
    this.#perCommit = perCommit;
    made += 1;
    this.#number = made;
    this.#times = Array.from({ length: lanes }, () => 1);
  }

  /** Runs whole attempts, until all are settled. @returns how many transitions became durable. */
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
