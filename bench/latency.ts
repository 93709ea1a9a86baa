import type { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { PartitionLoop } from '../engine/partition-loop.ts';
import { wallTime } from '../engine/time.ts';
import { migrations } from '../projections/attempts.ts';
import { vmStatus } from '../projections/vms.ts';
import { bareCommits } from './floors.ts';
import { inputOf, open } from './landfall.ts';
import { Samples, sleep } from './measure.ts';
import type { Benchmark } from './report.ts';
import { type Attempt, newAttempt, quickCourse } from './workload.ts';

/**
 * Measures the latency from an input to its durable verdict at a fixed rate (open loop). A latency starts at the scheduled send
 * time, so a stall also counts for the inputs that it delays.
 */

const PER_SECOND = 1000;
const SECONDS = 10;
const SECONDS_FULL = 60;
const WARM_UP_SECONDS = 2;
/** The delay between two inputs of an attempt, in milliseconds. */
const STEP_MS = 60;
const READS_PER_SECOND = 100;
const FLOOR_COMMITS = 1000;
/** The index of the deciding input in `quickCourse`. */
const VERDICT_STEP = 3;

type Load = { readonly all: Samples; readonly verdicts: Samples; readonly reads: Samples };

export const latency: Benchmark = {
  summary: 'from an input to its durable verdict at 1,000 inputs/s, with readers',
  async run({ folder, full }) {
    const floor = bareCommits(join(folder, 'bare.db'), 'x'.repeat(2000), FLOOR_COMMITS);
    const { ledger, driver } = await open(folder, 'latency');
    const loop = new PartitionLoop(driver, wallTime);
    const db = ledger.readConnection();
    await run(loop, db, WARM_UP_SECONDS);
    const { all, verdicts, reads } = await run(loop, db, full ? SECONDS_FULL : SECONDS);
    await loop.stop();
    await ledger.close();
    const beside = (share: number) => ({ name: 'a bare commit of one row', value: floor.percentile(share) });
    const figuresOf = (what: string, samples: Samples) =>
      [0.5, 0.99, 0.999].map((share) => ({
        name: `${what}, p${share * 100}`,
        value: samples.percentile(share),
        unit: 'ms',
        floor: beside(share),
        ...(share === 0.99 ? { goal: { below: 10 } } : {}),
      }));
    return {
      benchmark: 'latency',
      workload: `${all.count} inputs at ${PER_SECOND}/s one by one through engine/partition-loop.ts, wall clock; ${reads.count} reads on the same thread meanwhile (a VM’s status, a page of 50 attempts); real fsync`,
      figures: [
        ...figuresOf('input to durable', all),
        { name: 'input to durable, max', value: all.max, unit: 'ms', floor: beside(1) },
        ...figuresOf('deciding input to durable verdict', verdicts),
        { name: 'a read, p99', value: reads.percentile(0.99), unit: 'ms' },
      ],
      notMeasured: [
        'HTTP; the load is made on the thread that decides, whose timers are up to 1 ms late: that is in the figures',
        'agents: an answer counts from when it is sent, not from when its question was asked',
      ],
    };
  },
};

async function run(loop: PartitionLoop, db: DatabaseSync, seconds: number): Promise<Load> {
  const load: Load = { all: new Samples(), verdicts: new Samples(), reads: new Samples() };
  const total = seconds * PER_SECOND;
  const begin = performance.now() + 50;
  const due = schedule(total);
  const stopReading = readers(db, load.reads);
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
  stopReading();
  return load;
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

/** Reads on the thread that decides, as the service does. */
function readers(db: DatabaseSync, samples: Samples): () => void {
  const timer = setInterval(() => {
    const began = performance.now();
    const page = migrations(db, undefined, { limit: 50 });
    const vm = page[0]?.vm;
    if (vm !== undefined) vmStatus(db, vm);
    samples.add(performance.now() - began);
  }, 1000 / READS_PER_SECOND);
  return () => clearInterval(timer);
}
