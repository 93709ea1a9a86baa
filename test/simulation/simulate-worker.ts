import { killAtEveryCommit } from './every-commit.ts';
import { type Run, simulate } from './simulate.ts';
import { type FaultKind, faultKinds } from './world/faults.ts';

/** One process of `npm run simulate`: simulates every `step`-th seed and sends one report at its end. */
export type Report = {
  worlds: number;
  failures: { seed: number; rule: string; message: string }[];
  entries: number;
  restarts: number;
  rows: Record<string, number>;
};
type Job = {
  from: number;
  to: number;
  step: number;
  vmsMax: number;
  without: readonly string[];
  everyCommit: boolean;
};
type Options = { seed: number; faults: ReadonlySet<FaultKind>; vmsMax: number };

/** One world in REPLAYED_EVERY is replayed in other batches; one in TWICE_EVERY is simulated twice. */
const REPLAYED_EVERY = 5;
const TWICE_EVERY = 20;

async function work({ from, to, step, vmsMax, without, everyCommit }: Job): Promise<Report> {
  const faults = new Set(faultKinds.filter((kind) => !without.includes(kind)));
  const report: Report = { worlds: 0, failures: [], entries: 0, restarts: 0, rows: {} };
  for (let seed = from; seed < to; seed += step) {
    if (everyCommit) await killed(report, { seed, faults, vmsMax });
    else await play(report, { seed, faults, vmsMax }, (seed - from) / step);
  }
  return report;
}

async function play(report: Report, options: Options, nth: number): Promise<void> {
  const { seed } = options;
  const replays = nth % REPLAYED_EVERY === 0;
  const run = await simulate({ ...options, replays });
  count(report, run);
  const [first] = run.violations;
  if (first !== undefined) report.failures.push({ seed, rule: first.rule, message: first.message });
  else if (nth % TWICE_EVERY === 0 && (await simulate({ ...options, replays })).head !== run.head)
    report.failures.push({ seed, rule: 'determinism', message: 'two runs of the seed gave different ledgers' });
}

async function killed(report: Report, options: Options): Promise<void> {
  const { runs, failures } = await killAtEveryCommit(options);
  for (const run of runs) count(report, run);
  for (const { at, run } of failures) {
    const [first] = run.violations;
    if (first === undefined) continue;
    const message = `killed ${at.when} commit ${at.commit}: ${first.message}`;
    report.failures.push({ seed: options.seed, rule: first.rule, message });
  }
}

function count(report: Report, { entries, restarts, rows }: Run): void {
  report.worlds += 1;
  report.entries += entries;
  report.restarts += restarts;
  for (const [row, times] of rows) report.rows[row] = (report.rows[row] ?? 0) + times;
}

const [job] = process.argv.slice(2);
if (job !== undefined && process.send !== undefined) process.send(await work(JSON.parse(job) as Job));
