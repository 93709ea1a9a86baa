import { join } from 'node:path';
import type { Entry } from '../events/entries.ts';
import type { Driver } from '../engine/driver.ts';
import { PartitionLoop } from '../engine/partition-loop.ts';
import { wallTime } from '../engine/time.ts';
import { bareCommits } from './floors.ts';
import { inputOf, open } from './landfall.ts';
import { MIB, perSecond, Samples, sleep } from './measure.ts';
import type { Benchmark } from './report.ts';
import { configurationSet, failed, newAttempt, started, stillMoving } from './workload.ts';

/** Measures the memory of 100,000 undecided attempts, and how late their deadlines fire. */

const ATTEMPTS = 100_000;
/** The polls are spread as evenly as the arrivals. One interval is long enough to create all attempts. */
const INTERVAL_SECONDS = 60;
const SETTINGS = { recheckIntervalSeconds: INTERVAL_SECONDS, recheckTimeoutSeconds: 3600, questionLimitSeconds: 30 };
/** The number of attempts that are created together. */
const CHUNK = 256;
const CHUNKS_UNDER_WAY = 3;

export const memory: Benchmark = {
  summary: '100,000 attempts in Rechecking: resident memory, and how late their deadlines are',
  async run({ folder }) {
    const baseMib = process.memoryUsage.rss() / MIB;
    const bare = bareCommits(join(folder, 'bare.db'), 'x'.repeat(2000), 300);
    const { ledger, driver } = await open(folder, 'memory');
    const loop = new PartitionLoop(driver, wallTime);
    await loop.submit([inputOf(configurationSet(SETTINGS))]);
    const polls = new Polls(loop, driver);
    const began = performance.now();
    await bringIn(loop);
    const broughtInMs = performance.now() - began;
    const [restingMib, heapMib] = [process.memoryUsage.rss() / MIB, process.memoryUsage().heapUsed / MIB];
    await polls.all();
    const polledMib = process.memoryUsage.rss() / MIB;
    const peakMib = process.resourceUsage().maxRSS / 1024;
    if (driver.partition.openCount !== ATTEMPTS) throw new Error(`${driver.partition.openCount} attempts are open`);
    await loop.stop();
    await ledger.close();
    const resident = { unit: 'MiB', floor: { name: 'before the first', value: baseMib }, goal: { below: 512 } };
    const { lateness } = polls;
    const late = (share: number) => ({
      value: lateness.percentile(share),
      unit: 'ms',
      floor: { name: 'a bare commit', value: bare.percentile(share) },
    });
    return {
      benchmark: 'memory',
      workload:
        `${ATTEMPTS} attempts in Rechecking in one process, through engine/partition-loop.ts and the wall clock; a poll every ${INTERVAL_SECONDS} s, ` +
        'each a durable timer, two questions and two answers',
      figures: [
        { name: 'resident, all attempts in', value: restingMib, ...resident },
        { name: 'resident, after every attempt was polled and answered', value: polledMib, ...resident },
        { name: 'resident at its highest', value: peakMib, ...resident },
        { name: 'of it the main thread’s heap, all attempts in', value: heapMib, unit: 'MiB' },
        { name: 'brought in', value: perSecond(ATTEMPTS * 4, broughtInMs), unit: 'transitions/s' },
        { name: 'deadline to durable timer, p50', ...late(0.5) },
        { name: 'deadline to durable timer, p99', ...late(0.99), goal: { below: 1000 } },
        { name: 'deadline to durable timer, max', ...late(1), note: `${lateness.count} timers` },
      ],
      notMeasured: [
        'HTTP, agents, the service’s work queue; the answers are made in the same process and counted in its memory',
        'polls of all 100,000 within the default 10 s: that would be 30,000 transitions/s',
      ],
    };
  },
};

/** Moves every attempt to Rechecking, a few chunks at a time. */
async function bringIn(loop: PartitionLoop): Promise<void> {
  let left = ATTEMPTS;
  const work = async () => {
    while (left > 0) {
      const chunk = Array.from({ length: Math.min(CHUNK, left) }, newAttempt);
      left -= chunk.length;
      await loop.submit(chunk.flatMap((attempt) => [started(attempt), failed(attempt)].map(inputOf)));
      await loop.submit(chunk.flatMap((attempt) => stillMoving(attempt, 3).map(inputOf)));
    }
  };
  await Promise.all(Array.from({ length: CHUNKS_UNDER_WAY }, work));
}

/**
 * Answers every poll and records its lateness: the time from a deadline until the entry of its timer is durable. The answer is
 * built from the entry alone, so the benchmark keeps no memory per attempt.
 */
class Polls {
  readonly lateness = new Samples();
  readonly #polled = new Set<string>();
  readonly #loop: PartitionLoop;
  #failure: Error | null = null;

  constructor(loop: PartitionLoop, driver: Driver) {
    this.#loop = loop;
    driver.onCommitted((entries) => this.#answer(entries));
  }

  /** Resolves when each attempt was polled at least once. */
  async all(): Promise<void> {
    while (this.#polled.size < ATTEMPTS && this.#failure === null) await sleep(100);
    if (this.#failure !== null) throw this.#failure;
  }

  #answer(entries: readonly Entry[]): void {
    const now = Date.now();
    const texts = entries.flatMap((entry) => this.#answersTo(entry, now));
    if (texts.length === 0) return;
    this.#loop.submit(texts.map(inputOf)).catch((error: unknown) => {
      this.#failure ??= error instanceof Error ? error : new Error(String(error));
    });
  }

  #answersTo({ cause, attempt }: Entry, now: number): string[] {
    if (cause.kind !== 'timer' || cause.timer !== 'recheck' || attempt === null) return [];
    this.lateness.add(now - cause.dueAt);
    this.#polled.add(cause.migration);
    return stillMoving(attempt.attempt, attempt.attempt.sequence - 1);
  }
}
