import { simulate } from './simulate.ts';
import { faultKinds } from './world/faults.ts';

/** One process of `npm run simulate`: every `step`-th seed. It reports once, at its end. */
export type Report = {
  failures: { seed: number; rule: string; message: string }[];
  entries: number;
  restarts: number;
  rows: Record<string, number>;
};
type Job = { from: number; to: number; step: number; vmsMax: number; without: readonly string[] };

/** Every so manieth world is repeated in other batches, and every so manieth is run twice. */
const REPLAYED_EVERY = 5;
const TWICE_EVERY = 20;

async function work({ from, to, step, vmsMax, without }: Job): Promise<Report> {
  const faults = new Set(faultKinds.filter((kind) => !without.includes(kind)));
  const report: Report = { failures: [], entries: 0, restarts: 0, rows: {} };
  for (let seed = from; seed < to; seed += step) {
    const nth = (seed - from) / step;
    const options = { seed, faults, vmsMax, replays: nth % REPLAYED_EVERY === 0 };
    const run = await simulate(options);
    report.entries += run.entries;
    report.restarts += run.restarts;
    for (const [row, count] of run.rows) report.rows[row] = (report.rows[row] ?? 0) + count;
    const [first] = run.violations;
    if (first !== undefined) report.failures.push({ seed, rule: first.rule, message: first.message });
    else if (nth % TWICE_EVERY === 0 && (await simulate(options)).head !== run.head) {
      report.failures.push({ seed, rule: 'determinism', message: 'two runs of the seed gave different ledgers' });
    }
  }
  return report;
}

const [job] = process.argv.slice(2);
if (job !== undefined && process.send !== undefined) process.send(await work(JSON.parse(job) as Job));
