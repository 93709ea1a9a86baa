import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Driver } from '../engine/driver.ts';
import { textOf } from '../log/entry-text.ts';
import { bareInserts } from './floors.ts';
import { driverInMemory, open } from './landfall.ts';
import { Lanes } from './lanes.ts';
import { median, perSecond, timedAsync } from './measure.ts';
import type { Benchmark, Figure, Options } from './report.ts';
import { stages } from './stages.ts';
import { type Course, course, newAttempt, TRANSITIONS_PER_ATTEMPT } from './workload.ts';

/** Measures durable transitions per second from text to disk, and the time of each stage. */

/** While one lane is committed, the other lanes are processed. */
const LANES = 4;
const IN_FLIGHT = 256;
const REPETITIONS = 3;
const ATTEMPTS_IN_FLIGHT = 4096;
/** The warm-up. A process reaches half of its rate until its hot functions are compiled, and the service runs for months. */
const WARM_UP_ATTEMPTS = 6144;
const WARM_UP_WRITER_ATTEMPTS = 2048;
/** One commit at a time, because the published figures of comparable systems are measured this way. */
const PER_COMMIT = [
  { perCommit: 1, attempts: 120 },
  { perCommit: 10, attempts: 600 },
  { perCommit: 100, attempts: 2000 },
  { perCommit: 1000, attempts: 3000 },
];

export const transitions: Benchmark = {
  summary: 'durable transitions per second over the whole way, and the time by stage',
  async run(options) {
    const texts = await entryTexts(4096);
    const inFlight = await atInFlight(options, texts);
    const byCommit = await perCommit(options, texts);
    const byStage = await stages(options.folder, courses(2048), IN_FLIGHT);
    const main = sumOf(byStage, 'main thread');
    const writer = sumOf(byStage, 'writer');
    return {
      benchmark: 'transitions',
      workload:
        'one attempt = created, call failed, two answers, durable timer, two answers, verdict, two acknowledgements = ' +
        `${TRANSITIONS_PER_ATTEMPT} durable transitions; text → JSON → validated → decided → chained → deduplicated → projected → ` +
        `acknowledged; every attempt another VM, random UUIDs; an entry is ${Math.round(meanLength(texts))} bytes`,
      figures: [
        ...inFlight,
        ...byCommit,
        ...byStage,
        { name: 'main thread: sum', value: main, unit: 'µs' },
        { name: 'writer: sum', value: writer, unit: 'µs', note: 'both at once: the longer one bounds the rate' },
      ],
      notMeasured: [
        'HTTP and its parsing, agents, locks of volumes (the VMs have none), more than one process',
        'the two threads share the cores with whatever else runs: see the load average',
      ],
    };
  },
};

function courses(count: number): Course[] {
  return Array.from({ length: count }, () => course(newAttempt()));
}

/** Texts of real entries for the floor, which only inserts them. */
async function entryTexts(count: number): Promise<string[]> {
  const texts: string[] = [];
  const driver = driverInMemory((entries) => texts.push(...entries.map(textOf)));
  await new Lanes(driver, LANES, IN_FLIGHT).run(courses(Math.ceil(count / TRANSITIONS_PER_ATTEMPT)));
  return texts.slice(0, count);
}

/** Measures three rates in turns: the complete path, the path without SQLite, and bare inserts. */
async function atInFlight({ folder }: Options, texts: readonly string[]): Promise<Figure[]> {
  const [durable, inMemory, bare]: [number[], number[], number[]] = [[], [], []];
  const memory = new Lanes(driverInMemory(), LANES, IN_FLIGHT / LANES);
  await memory.run(courses(WARM_UP_ATTEMPTS));
  await withLedger(folder, (driver) => rateOf(new Lanes(driver, LANES, IN_FLIGHT / LANES), WARM_UP_ATTEMPTS));
  for (let nth = 0; nth < REPETITIONS; nth += 1) {
    durable.push(await withLedger(folder, warmRateOf));
    inMemory.push(await rateOf(memory, ATTEMPTS_IN_FLIGHT));
    bare.push(perSecond(texts.length, bareInserts(join(folder, 'bare.db'), texts, IN_FLIGHT / LANES)));
  }
  const value = median(durable);
  const range = `${REPETITIONS} runs: ${durable.map((rate) => Math.round(rate)).join(', ')}`;
  return [
    {
      name: `transitions, ${IN_FLIGHT} attempts in flight`,
      value,
      unit: '/s',
      floor: { name: 'without SQLite', value: median(inMemory) },
      goal: { atLeast: 15_000 },
      note: range,
    },
    { name: 'the same', value, unit: '/s', floor: { name: 'bare inserts of the texts', value: median(bare) } },
    {
      name: 'the same, of the rate without SQLite',
      value: (value / median(inMemory)) * 100,
      unit: '%',
      goal: { atLeast: 40 },
    },
    { name: 'the same, in whole attempts', value: value / TRANSITIONS_PER_ATTEMPT, unit: '/s' },
  ];
}

/** Each ledger has a new writer thread, whose code is not compiled yet, as in a new process. */
async function warmRateOf(driver: Driver): Promise<number> {
  const lanes = new Lanes(driver, LANES, IN_FLIGHT / LANES);
  await lanes.run(courses(WARM_UP_WRITER_ATTEMPTS));
  return rateOf(lanes, ATTEMPTS_IN_FLIGHT);
}

async function perCommit({ folder }: Options, texts: readonly string[]): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const { perCommit: size, attempts } of PER_COMMIT) {
    const value = await withLedger(folder, (driver) => rateOf(new Lanes(driver, 1, size), attempts));
    const rows = texts.slice(0, Math.max(size, Math.min(texts.length, size * 300)));
    const floor = perSecond(rows.length, bareInserts(join(folder, 'bare.db'), rows, size));
    figures.push({
      name: `transitions, ${size} per commit, one commit at a time`,
      value,
      unit: '/s',
      floor: { name: 'bare inserts', value: floor },
    });
  }
  return figures;
}

async function rateOf(lanes: Lanes, attempts: number): Promise<number> {
  const work = courses(attempts);
  let transitionsMade = 0;
  const ms = await timedAsync(async () => {
    transitionsMade = await lanes.run(work);
  });
  return perSecond(transitionsMade, ms);
}

/** Runs on a new ledger and checks that the ledger contains every reported transition. */
async function withLedger(folder: string, work: (driver: Driver) => Promise<number>): Promise<number> {
  const { ledger, driver, file } = await open(folder, 'transitions');
  try {
    await new Lanes(driver, 1, IN_FLIGHT).run(courses(IN_FLIGHT));
    return await work(driver);
  } finally {
    await ledger.close();
    for (const suffix of ['', '-wal', '-shm', '.lock']) rmSync(`${file}${suffix}`, { force: true });
  }
}

function sumOf(figures: readonly Figure[], prefix: string): number {
  return figures.filter(({ name }) => name.startsWith(prefix)).reduce((sum, { value }) => sum + value, 0);
}

function meanLength(texts: readonly string[]): number {
  return texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0) / texts.length;
}
