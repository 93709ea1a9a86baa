import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { perSecond, sleep } from './measure.ts';
import type { Benchmark, Figure } from './report.ts';
import { failed, newAttempt, started, stillMoving } from './workload.ts';

/** `landfall serve` as a process of its own, over HTTP: what a hundred thousand open attempts cost with everything included. */

const ATTEMPTS = 100_000;
const INTERVAL_SECONDS = 60;
const QUESTION_SECONDS = 30;
/** Attempts of one request; each gives two events to it. */
const CHUNK = 400;
const REQUESTS_UNDER_WAY = 3;

export const service: Benchmark = {
  summary: 'landfall serve over HTTP with 100,000 attempts in Rechecking: the memory of the whole process',
  async run({ folder }) {
    const serving = await Serving.start(folder);
    try {
      const base = serving.memoryMib();
      const began = performance.now();
      await bringIn(serving.url);
      const broughtInMs = performance.now() - began;
      const resting = serving.memoryMib();
      await allPolled(serving.url);
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
          { name: 'turns whose deadlines were all kept within 1 s', value: await keptInTime(serving.url), unit: '%' },
        ],
        notMeasured: ['agents that take the questions; the load is made by another process on the same two cores'],
      };
    } finally {
      await serving.stop();
    }
  },
};

/** Each attempt comes in as it would: its events, then its answers. */
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

/** Both ends of every attempt are asked again. */
async function allPolled(url: string): Promise<void> {
  const deadline = performance.now() + 4 * INTERVAL_SECONDS * 1000;
  while ((await metric(url, 'landfall_outstanding{kind="question"}')) < 2 * ATTEMPTS) {
    if (performance.now() > deadline) throw new Error('not every attempt was asked about again');
    await sleep(1000);
  }
}

async function keptInTime(url: string): Promise<number> {
  const kept = await metric(url, 'landfall_deadline_lateness_seconds_bucket{le="1"}');
  return (kept / (await metric(url, 'landfall_deadline_lateness_seconds_count'))) * 100;
}

async function metric(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const line = text.split('\n').find((each) => each.startsWith(`${name} `));
  if (line === undefined) throw new Error(`there is no metric ${name}`);
  return Number(line.slice(name.length + 1));
}

/** The service, as `npm start` runs it. */
class Serving {
  readonly url: string;
  readonly #child: ChildProcess;

  private constructor(url: string, child: ChildProcess) {
    this.url = url;
    this.#child = child;
  }

  static async start(folder: string): Promise<Serving> {
    const program = join(import.meta.dirname, '../bin/landfall.js');
    const settings = [
      `recheckIntervalSeconds=${INTERVAL_SECONDS}`,
      'recheckTimeoutSeconds=3600',
      `questionLimitSeconds=${QUESTION_SECONDS}`,
      'requestsPerSecondMax=100000',
    ];
    const args = [program, 'serve', '--port', '0', '--no-recordings', '--log-level', 'error'];
    const db = ['--db', join(folder, 'service.db'), '--set', ...settings];
    const child = spawn(process.execPath, [...args, ...db], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [line]: string[] = await once(createInterface({ input: child.stdout }), 'line');
    const url = /http:\S+:\d+/.exec(line ?? '')?.[0];
    if (url === undefined) throw new Error(`it does not say where it listens: ${line}`);
    return new Serving(url, child);
  }

  /** As the kernel counts it: the threads, SQLite's pages and all heaps. */
  memoryMib(): { resident: number; peak: number } {
    const text = readFileSync(`/proc/${this.#child.pid}/status`, 'utf8');
    const of = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1]) / 1024;
    return { resident: of('VmRSS'), peak: of('VmHWM') };
  }

  async stop(): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    await ended;
  }
}
