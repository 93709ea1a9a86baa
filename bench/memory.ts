import type { Entry } from '../events/entries.ts';
import type { Driver } from '../consumers/driver.ts';
import { Live, wallTime } from '../consumers/live.ts';
import { inputOf, open } from './landfall.ts';
import { MIB, perSecond, Samples, sleep } from './measure.ts';
import type { Benchmark } from './report.ts';
import { type Attempt, failed, newAttempt, started, stillMoving } from './workload.ts';

/** A hundred thousand attempts that cannot be decided yet: what they cost, and whether their deadlines are kept. */

const ATTEMPTS = 3_000;
/** The polls of all attempts fall due as evenly as the attempts came; the interval leaves the time to bring all of them in. */
const INTERVAL_SECONDS = 8;
/** Attempts that are brought in together. */
const CHUNK = 256;
const CHUNKS_UNDER_WAY = 3;

export const memory: Benchmark = {
  summary: '100,000 attempts in Rechecking: resident memory, and how late their deadlines are',
  async run({ folder }) {
    const baseMib = process.memoryUsage.rss() / MIB;
    const { ledger, driver } = await open(folder, 'memory');
    const lateness = new Samples();
    const live = new Live(driver, wallTime);
    await live.submit([inputOf(configurationSet())]);
    const began = performance.now();
    const attempts = await bringIn(live);
    const broughtInMs = performance.now() - began;
    const restingMib = process.memoryUsage.rss() / MIB;
    const heapMib = process.memoryUsage().heapUsed / MIB;
    const polled = polls(live, driver, attempts, lateness);
    const loadBegan = performance.now();
    await polled;
    const pollMs = performance.now() - loadBegan;
    const { rss } = process.memoryUsage();
    const open100k = driver.partition.openCount;
    const peakMib = process.resourceUsage().maxRSS / 1024;
    if (open100k !== ATTEMPTS) throw new Error(`${open100k} attempts are open of ${ATTEMPTS}`);
    await live.stop();
    await ledger.close();
    const goal = { below: 512 };
    const floor = { name: 'before the first', value: baseMib };
    return {
      benchmark: 'memory',
      workload:
        `${ATTEMPTS} attempts in Rechecking in one process, through consumers/live.ts and the wall clock; polls every ${INTERVAL_SECONDS} s, ` +
        'each poll a durable timer, two questions, two answers',
      figures: [
        { name: 'resident, all attempts in', value: restingMib, unit: 'MiB', floor, goal },
        { name: 'resident, after every attempt was polled and answered', value: rss / MIB, unit: 'MiB', floor, goal },
        { name: 'resident at its highest', value: peakMib, unit: 'MiB', floor, goal },
        { name: 'of it the main thread’s heap, all attempts in', value: heapMib, unit: 'MiB' },
        { name: 'brought in', value: perSecond(ATTEMPTS * 4, broughtInMs), unit: 'transitions/s' },
        { name: 'polled and answered meanwhile', value: perSecond(lateness.count * 3, pollMs), unit: 'transitions/s' },
        { name: 'deadline to durable timer, p50', value: lateness.percentile(0.5), unit: 'ms' },
        { name: 'deadline to durable timer, p99', value: lateness.percentile(0.99), unit: 'ms', goal: { below: 1000 } },
        { name: 'deadline to durable timer, max', value: lateness.max, unit: 'ms', note: `${lateness.count} timers` },
      ],
      notMeasured: [
        'HTTP, agents, the dispatcher’s outbox; the answers are made in the same process and counted in its memory',
        `polls of all 100,000 within the default 10 s: that would be 30,000 transitions/s`,
      ],
    };
  },
};

function configurationSet(): string {
  return JSON.stringify({
    specversion: '1.0',
    id: 'configuration',
    source: 'bench',
    type: 'landfall.configuration.set.v1',
    data: {
      change: { recheckIntervalSeconds: INTERVAL_SECONDS, recheckTimeoutSeconds: 3600, questionLimitSeconds: 30 },
      operator: 'bench',
    },
  });
}

/** Brings every attempt into Rechecking, a few chunks at a time. @returns them by their id. */
async function bringIn(live: Live): Promise<Map<string, Attempt>> {
  const attempts = new Map<string, Attempt>();
  let left = ATTEMPTS;
  const work = async () => {
    while (left > 0) {
      const chunk = Array.from({ length: Math.min(CHUNK, left) }, newAttempt);
      left -= chunk.length;
      for (const attempt of chunk) attempts.set(attempt.migration, attempt);
      await live.submit(chunk.flatMap((attempt) => [started(attempt), failed(attempt)].map(inputOf)));
      await live.submit(chunk.flatMap((attempt) => stillMoving(attempt, 3).map(inputOf)));
    }
  };
  await Promise.all(Array.from({ length: CHUNKS_UNDER_WAY }, work));
  return attempts;
}

/** Answers every poll until each attempt was polled once. A deadline is kept when its timer's entry is durable. */
function polls(live: Live, driver: Driver, attempts: ReadonlyMap<string, Attempt>, lateness: Samples): Promise<void> {
  const unanswered = new Set(attempts.keys());
  return new Promise((resolve, reject) => {
    driver.onCommitted((entries) => {
      const now = Date.now();
      const texts = entries.flatMap((entry) => answersTo(entry, attempts, unanswered, now, lateness));
      if (texts.length === 0) return;
      live.submit(texts.map(inputOf)).then(() => {
        if (unanswered.size === 0) sleep(100).then(resolve, reject);
      }, reject);
    });
  });
}

function answersTo(
  { cause, attempt }: Entry,
  attempts: ReadonlyMap<string, Attempt>,
  unanswered: Set<string>,
  now: number,
  lateness: Samples,
): string[] {
  if (cause.kind !== 'timer' || !unanswered.delete(cause.migration)) return [];
  const asked = attempts.get(cause.migration);
  if (asked === undefined || attempt === null) return [];
  lateness.add(now - cause.dueAt);
  return stillMoving(asked, attempt.attempt.sequence - 1);
}
