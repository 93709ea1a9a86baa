import { path } from '../../machines/chart.ts';
import type { Driver } from '../../engine/driver.ts';
import type { Taken } from '../../engine/partition/partition.ts';
import type { RecordedLine } from './schema.ts';
import type { TimedInput, RecordedWorld } from './world.ts';

/**
 * Plays a recording through a driver in recorded time, so minutes of rechecks take milliseconds. Before each line, the
 * player processes all answers and deadlines due before the line's time; answers come first.
 */

/** A batch is committed when it contains questions, or at this number of entries. */
const ENTRIES_PER_COMMIT = 256;

export class RecordingPlayer {
  readonly world: RecordedWorld;
  readonly #driver: Driver;
  readonly #onTaken: (taken: Taken, line: number) => void;
  #now = 0;

  /** @param onTaken receives each decided input and its line number. */
  constructor(driver: Driver, world: RecordedWorld, onTaken: (taken: Taken, line: number) => void) {
    this.#driver = driver;
    this.world = world;
    this.#onTaken = onTaken;
  }

  async line(line: RecordedLine, number: number): Promise<void> {
    const t = Math.max(this.#now, Math.round(line.t));
    await this.#advance(t);
    this.#now = t;
    await this.#take(this.world.take(line, number));
  }

  /** Advances the clock after the last line until each attempt is settled, contested or provisional. */
  async end(): Promise<void> {
    this.world.end(this.#now);
    while (this.#hasUndecided() && (await this.#advanceOnce(Number.POSITIVE_INFINITY)));
    await this.#driver.flush();
  }

  #hasUndecided(): boolean {
    for (const state of this.#driver.partition.openAttempts()) {
      if (state.attempt.clock !== this.world.clock) continue;
      const at = path(state.value);
      const waitsForOthers =
        at === 'Migrating.inFlight' || at === 'RolledBack.contested' || at === 'Completed.provisional';
      if (!waitsForOthers) return true;
    }
    return false;
  }

  async #advance(to: number): Promise<void> {
    while (await this.#advanceOnce(to));
  }

  /** Processes the next answer or deadline due before `to`. Returns false if there is none. */
  async #advanceOnce(to: number): Promise<boolean> {
    const answerAt = this.world.nextAnswerAt() ?? Number.POSITIVE_INFINITY;
    const timerAt = this.#driver.partition.nextDueAt(this.world.clock) ?? Number.POSITIVE_INFINITY;
    if (Math.min(answerAt, timerAt) >= to) return false;
    if (answerAt <= timerAt) {
      this.#now = Math.max(this.#now, answerAt);
      await this.#take(this.world.answerAfterwards());
    } else {
      this.#now = Math.max(this.#now, timerAt);
      this.#driver.partition.fire(this.#now, this.world.clock, 1);
      await this.#flushIfNeeded();
    }
    return true;
  }

  async #take(arrivals: TimedInput[]): Promise<void> {
    for (const { input, line } of arrivals) {
      const at = { stream: this.world.source, offset: line };
      this.#onTaken(this.#driver.partition.take(input, at, this.#now, this.world.clock), line);
      await this.#flushIfNeeded();
    }
  }

  async #flushIfNeeded(): Promise<void> {
    const { partition } = this.#driver;
    if (partition.hasOutgoing || partition.pendingCount >= ENTRIES_PER_COMMIT) await this.#driver.flush();
  }
}
