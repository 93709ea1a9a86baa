import { fork } from 'node:child_process';
import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { open } from './landfall.ts';
import { Lanes } from './lanes.ts';
import { median, timed } from './measure.ts';
import type { Benchmark } from './report.ts';
import type { Ready } from './restart-process.ts';
import { course, newAttempt, TRANSITIONS_PER_ATTEMPT } from './workload.ts';

/** Measures the restart after a kill: from the start of the process until the partition accepts inputs. */

const ENTRIES = 200_000;
const ENTRIES_FULL = 1_000_000;
/** Ledger entries per open attempt. */
const ENTRIES_PER_OPEN = 10;
const RESTARTS = 3;
/** Ledger entries of one attempt that stays open. */
const ENTRIES_OPEN = 2;

export const restart: Benchmark = {
  summary: 'from process start to a partition that is ready, after a kill',
  async run({ folder, full }) {
    const entries = full ? ENTRIES_FULL : ENTRIES;
    const openCount = entries / ENTRIES_PER_OPEN;
    const file = await made(folder, entries, openCount);
    const empty: number[] = [];
    const ready: Ready[] = [];
    for (let nth = 0; nth < RESTARTS; nth += 1) {
      empty.push(await spawned(['empty']).then(({ totalMs }) => totalMs));
      ready.push(await spawned(['ready', file]));
    }
    const first = ready[0];
    if (first === undefined || first.openCount !== openCount)
      throw new Error(`${first?.openCount} attempts are open of ${openCount}`);
    const floorMs = median(empty) + readingMs(file);
    const of = (pick: (measured: Ready) => number) => median(ready.map(pick));
    return {
      benchmark: 'restart',
      workload: `a ledger of ${first.entries} entries, ${openCount} open attempts; the process that wrote it was killed with SIGKILL`,
      figures: [
        {
          name: 'process start to ready, after the kill',
          value: first.totalMs / 1000,
          unit: 's',
          floor: { name: 'empty process + reading what it needs', value: floorMs / 1000 },
          ...(full ? { goal: { below: 3 } } : {}),
        },
        { name: 'the same, killed again and again (median)', value: of(({ totalMs }) => totalMs) / 1000, unit: 's' },
        { name: 'of it: process and modules', value: of(({ modulesMs }) => modulesMs) / 1000, unit: 's' },
        {
          name: 'of it: open, verify the tail, claim, identities',
          value: of(({ claimMs }) => claimMs) / 1000,
          unit: 's',
        },
        { name: 'of it: open attempts and deadlines', value: of(({ partitionMs }) => partitionMs) / 1000, unit: 's' },
        { name: 'resident when ready', value: of(({ rssMib }) => rssMib), unit: 'MiB' },
      ],
      notMeasured: ['a file that the caches do not hold', 'HTTP coming up'],
    };
  },
};

/** Creates the ledger in this process, before any measured process starts. */
async function made(folder: string, entries: number, openCount: number): Promise<string> {
  const { ledger, driver, file } = await open(folder, 'restart');
  const lanes = new Lanes(driver, 2, 512);
  await lanes.run(
    Array.from({ length: Math.floor((entries - openCount * ENTRIES_OPEN) / TRANSITIONS_PER_ATTEMPT) }, () =>
      course(newAttempt()),
    ),
  );
  await ledger.close();
  await spawned(['leave-open', file, String(openCount)]);
  return file;
}

/** Measures the reads that every start needs: the identities, and the timers of open attempts. */
function readingMs(file: string): number {
  const db = new DatabaseSync(file, { readOnly: true });
  try {
    return timed(() => {
      for (const { keys } of db.prepare('SELECT keys FROM identities').iterate())
        if (keys === null) throw new Error('no keys');
      for (const { timers } of db.prepare('SELECT timers FROM attempts WHERE settled = 0').iterate())
        JSON.parse(String(timers));
    });
  } finally {
    db.close();
  }
}

/** Runs restart-process.ts and kills it when it reports that it is ready. */
function spawned(args: string[]): Promise<Ready> {
  return new Promise((resolve, reject) => {
    const began = performance.now();
    let report: Ready | undefined;
    const child = fork(join(import.meta.dirname, 'restart-process.ts'), args);
    child.on('message', (message) => {
      report = { ...(message as Ready), totalMs: performance.now() - began };
      child.kill('SIGKILL');
    });
    child.on('error', reject);
    child.on('exit', () =>
      report === undefined ? reject(new Error(`${args[0]} ended without a word`)) : resolve(report),
    );
  });
}
