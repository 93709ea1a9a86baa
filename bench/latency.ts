import { join } from 'node:path';
import { PartitionLoop } from '../engine/partition-loop.ts';
import { wallTime } from '../engine/time.ts';
import { ReadQueue } from '../service/reads/read-queue.ts';
import { bareCommits } from './floors.ts';
import { inputOf, open } from './landfall.ts';
import { Samples, sleep } from './measure.ts';
import type { Benchmark, Result } from './report.ts';
import { type Attempt, newAttempt, quickCourse } from './workload.ts';

/**
 * Measures the latency from an input to its durable verdict at a fixed rate (open loop). A latency starts at the scheduled send
 * time, so a stall also counts for the inputs that it delays.
 */

const PER_SECOND = 1000;
const SECONDS = 10;
const SECONDS_FULL = 60;
const SLICE_SECONDS = 5;
const WARM_UP_SECONDS = 2;
/** The delay between two inputs of an attempt, in milliseconds. */
const STEP_MS = 60;
const READS_PER_SECOND = 100;
const FLOOR_COMMITS = 1000;
/** The index of the deciding input in `quickCourse`. */
const VERDICT_STEP = 3;

type Load = { readonly all: Samples; readonly verdicts: Samples; readonly reads: Samples };

export const latency: Benchmark = {
  summary: 'from an input to its durable verdict at 1,000 inputs/s, without and with readers',
  async run({ folder, full }) {
    const floor = bareCommits(join(folder, 'bare.db'), 'x'.repeat(2000), FLOOR_COMMITS);
    const { ledger, driver, file } = await open(folder, 'latency');
    const loop = new PartitionLoop(driver, wallTime);
    const queue = new ReadQueue();
    const read = () => readPage(queue, file);
    await run(loop, read, WARM_UP_SECONDS, newLoad());
    const [alone, beside] = [newLoad(), newLoad()];
    // The two loads alternate, so that both meet the same growing ledger and the same disturbances of the machine.
    for (let left = full ? SECONDS_FULL : SECONDS; left > 0; left -= SLICE_SECONDS) {
      await run(loop, null, SLICE_SECONDS, alone);
      await run(loop, read, SLICE_SECONDS, beside);
    }
    await loop.stop();
    await queue.close();
    await ledger.close();
    return resultOf(floor, alone, beside);
  },
};

function resultOf(floor: Samples, alone: Load, beside: Load): Result {
  const bare = (share: number) => ({ name: 'a bare commit of one row', value: floor.percentile(share) });
  const figuresOf = (what: string, samples: Samples) =>
    [0.5, 0.99, 0.999].map((share) => ({
      name: `${what}, p${share * 100}`,
      value: samples.percentile(share),
      unit: 'ms',
      floor: bare(share),
      ...(share === 0.99 ? { goal: { below: 10 } } : {}),
    }));
  const { all, verdicts, reads } = beside;
  return {
    benchmark: 'latency',
    workload: `${all.count} inputs at ${PER_SECOND}/s one by one through engine/partition-loop.ts, wall clock, while ${reads.count} pages of 50 attempts and of 50 entries (${READS_PER_SECOND}/s) are read by reader threads; in turn the same inputs without readers; real fsync`,
    figures: [
      ...figuresOf('input to durable', all),
      { name: 'input to durable, max', value: all.max, unit: 'ms', floor: bare(1) },
      ...figuresOf('deciding input to durable verdict', verdicts),
      ...figuresOf('without readers: input to durable', alone.all),
      ...figuresOf('without readers: deciding input to durable verdict', alone.verdicts),
      {
        name: 'p99 to durable verdict, with readers to without',
        value: verdicts.percentile(0.99) / alone.verdicts.percentile(0.99),
        unit: '×',
        goal: { below: 1.5 },
      },
      { name: 'a read, p99', value: reads.percentile(0.99), unit: 'ms' },
    ],
    notMeasured: [
      'HTTP; the load is made on the thread that decides, whose timers are up to 1 ms late: that is in the figures',
      'agents: an answer counts from when it is sent, not from when its question was asked',
    ],
  };
}

const newLoad = (): Load => ({ all: new Samples(), verdicts: new Samples(), reads: new Samples() });

/** Sends inputs for some seconds. @param read makes one read, or is null for a load without readers. */
async function run(
  loop: PartitionLoop,
  read: (() => Promise<void>) | null,
  seconds: number,
  load: Load,
): Promise<void> {
  const total = seconds * PER_SECOND;
  const begin = performance.now() + 50;
  const due = schedule(total);
  const stopReading = read === null ? async () => {} : readers(read, load.reads);
  const sent: Promise<void>[] = [];
  let next = 0;
  while (next < due.length) {
    const now = performance.now() - begin;
    for (let item = due[next]; item !== undefined && item.atMs <= now; item = due[next]) {
      sent.push(send(loop, item, begin, load));
      next += 1;
    }
    await sleep(1);
  }
  await Promise.all(sent);
  await stopReading();
}

type Due = { readonly atMs: number; readonly step: number; readonly text: string };

/** Attempts start at even intervals; their inputs follow at intervals of `STEP_MS`. */
function schedule(total: number): Due[] {
  const steps = quickCourse(newAttempt()).length;
  const attempts = Math.ceil(total / steps);
  return Array.from({ length: attempts }, (_, nth) => stepsOf(newAttempt(), (nth * steps * 1000) / PER_SECOND))
    .flat()
    .toSorted((a, b) => a.atMs - b.atMs);
}

function stepsOf(attempt: Attempt, beginMs: number): Due[] {
  return quickCourse(attempt).map((text, step) => ({ atMs: beginMs + step * STEP_MS, step, text }));
}

async function send(loop: PartitionLoop, { atMs, step, text }: Due, begin: number, load: Load): Promise<void> {
  const [receipt] = await loop.submit([inputOf(text)]);
  const ms = performance.now() - begin - atMs;
  if (receipt?.taken.outcome !== 'consumed') throw new Error(`an input was ${receipt?.taken.outcome}`);
  load.all.add(ms);
  if (step === VERDICT_STEP) load.verdicts.add(ms);
}

/** Starts reads at a fixed rate. @returns a function that stops them and waits for the reads that have started. */
function readers(read: () => Promise<void>, samples: Samples): () => Promise<void> {
  const started: Promise<void>[] = [];
  const timer = setInterval(() => {
    const began = performance.now();
    started.push(read().then(() => samples.add(performance.now() - began)));
  }, 1000 / READS_PER_SECOND);
  return async () => {
    clearInterval(timer);
    await Promise.all(started);
  };
}

let reads = 0;

/** Reads one page as the service does: alternately of attempts and of entries. */
async function readPage(queue: ReadQueue, file: string): Promise<void> {
  reads += 1;
  const source = { which: 'live', files: [{ partition: 0, file }] } as const;
  const reply = await queue.read({ destroy: () => {} }, source, {
    kind: reads % 2 === 0 ? 'migrations' : 'ledger',
    limit: 50,
  });
  reply.done();
}
