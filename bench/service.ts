import { join } from 'node:path';
import { perSecond, sleep } from './measure.ts';
import type { Benchmark, Figure } from './report.ts';
import { Serving } from './serving.ts';
import { failed, newAttempt, started, stillMoving } from './workload.ts';

/** Measures 100,000 open attempts in a separate `landfall serve` process, over HTTP. */

const ATTEMPTS = 100_000;
const INTERVAL_SECONDS = 60;
const QUESTION_SECONDS = 30;
/** The number of attempts per request; each attempt contributes two events. */
const CHUNK = 400;
const REQUESTS_UNDER_WAY = 3;

export const service: Benchmark = {
  summary: 'landfall serve over HTTP with 100,000 attempts in Rechecking: the memory of the whole process',
  async run({ folder }) {
    const serving = await Serving.start({
      db: join(folder, 'service.db'),
      recheckIntervalSeconds: INTERVAL_SECONDS,
      recheckTimeoutSeconds: 3600,
      questionLimitSeconds: QUESTION_SECONDS,
      requestsPerSecondMax: 100_000,
    });
    try {
      const base = serving.memoryMib();
      const began = performance.now();
      await bringIn(serving.url);
      const broughtInMs = performance.now() - began;
      const resting = serving.memoryMib();
      await allPolled(serving);
      const { resident, peak } = serving.memoryMib();
      const floor = { name: 'before the first', value: base.resident };
      const figure = (name: string, value: number): Figure => ({
        name,
        value,
        unit: 'MiB',
        floor,
        goal: { below: 512 },
      });
      return {
        benchmark: 'service',
        workload:
          `${ATTEMPTS} attempts in Rechecking in \`landfall serve\`, brought in over HTTP in requests of ${2 * CHUNK} events; then ` +
          'every one of them was polled, and nobody answered: all questions lie there for their agents, as when all are silent',
        figures: [
          figure('resident, all attempts in', resting.resident),
          figure('resident, every attempt asked about again and no answer given', resident),
          figure('resident at its highest', peak),
          { name: 'brought in over HTTP', value: perSecond(ATTEMPTS * 4, broughtInMs), unit: 'transitions/s' },
          { name: 'turns whose deadlines were all kept within 1 s', value: await keptInTime(serving), unit: '%' },
        ],
        notMeasured: ['agents that take the questions; the load is made by another process on the same two cores'],
      };
    } finally {
      await serving.stop();
    }
  },
};

/** Sends the inputs of each attempt in their natural order: first its events, then the answers of its hosts. */
async function bringIn(url: string): Promise<void> {
  let left = ATTEMPTS;
  const work = async () => {
    while (left > 0) {
      const chunk = Array.from({ length: Math.min(CHUNK, left) }, newAttempt);
      left -= chunk.length;
      await post(
        url,
        chunk.flatMap((attempt) => [started(attempt), failed(attempt)]),
      );
      await post(
        url,
        chunk.flatMap((attempt) => stillMoving(attempt, 3)),
      );
    }
  };
  await Promise.all(Array.from({ length: REQUESTS_UNDER_WAY }, work));
}

async function post(url: string, events: readonly string[]): Promise<void> {
  const headers = { 'content-type': 'application/cloudevents-batch+json' };
  const response = await fetch(`${url}/v1/events`, { method: 'POST', headers, body: `[${events.join(',')}]` });
  if (response.status !== 202) throw new Error(`${response.status}: ${await response.text()}`);
  await response.arrayBuffer();
}

/** Waits for the next poll of every attempt and answers it for both hosts. */
async function allPolled(serving: Serving): Promise<void> {
  const deadline = performance.now() + 4 * INTERVAL_SECONDS * 1000;
  while ((await serving.metric('landfall_outstanding{kind="question"}')) < 2 * ATTEMPTS) {
    if (performance.now() > deadline) throw new Error('not every attempt was asked about again');
    await sleep(1000);
  }
}

async function keptInTime(serving: Serving): Promise<number> {
  const kept = await serving.metric('landfall_deadline_lateness_seconds_bucket{le="1"}');
  return (kept / (await serving.metric('landfall_deadline_lateness_seconds_count'))) * 100;
}
