import { fork } from 'node:child_process';
import { Command } from 'commander';
import { faultKinds } from '../test/simulation/world/faults.ts';
import { simulate } from '../test/simulation/simulate.ts';
import type { KillAt } from '../test/simulation/landfall/service.ts';
import { shrink } from '../test/simulation/shrink.ts';
import { simulateKafkaWorlds } from './kafka-worlds.ts';
import type { Report } from '../test/simulation/simulate-worker.ts';

/** Simulates worlds from seeds on several processes. */
type Options = {
  readonly seeds: string;
  readonly from?: string;
  readonly seed?: string;
  readonly worldSize: string;
  readonly without: string;
  readonly processes: string;
  readonly crashEveryCommit: boolean;
  readonly killAt?: string;
  readonly trace: boolean;
  readonly json: boolean;
  readonly kafka: boolean;
  readonly worlds?: string;
};
const values = new Command('npm run simulate --')
  .description(
    'Simulates worlds and checks the invariants. For a failing seed it prints the smallest failing world and the command that replays it.',
  )
  .option('--seeds <n>', 'number of worlds', '1000')
  .option('--from <seed>', 'first seed (default: derived from the date, so that each day uses new seeds)')
  .option('--seed <seed>', 'simulate this world only')
  .option('--world-size <n>', 'maximum number of VMs', '3')
  .option('--without <faults>', 'faults to switch off, separated by commas', '')
  .option('--processes <n>', 'number of processes', '2')
  .option(
    '--crash-every-commit',
    'simulate each world once per commit, with a kill before and after that commit',
    false,
  )
  .option('--kill-at <when>', 'with --seed: kill the service at this commit, for example before:12 or after:12')
  .option('--trace', 'with --seed: print the trace', false)
  .option('--json', 'print the result as JSON', false)
  .option('--kafka', 'simulate instances on simulated Kafka brokers', false)
  .option('--worlds <n>', 'with --kafka: number of worlds, from --seed on (default: 1)')
  .parse()
  .opts<Options>();

const PRINTED_MAX = 10;
const everyCommit = values.crashEveryCommit;
const vmsMax = number('worldSize');
const without = values.without.split(',').filter((name) => name !== '');
const unknown = without.find((name) => !faultKinds.some((kind) => kind === name));
if (unknown !== undefined) stop(`--without ${unknown}: unknown fault. Known faults: ${faultKinds.join(', ')}`);
const faults = new Set(faultKinds.filter((kind) => !without.includes(kind)));

function stop(text: string): never {
  console.error(text);
  process.exit(2);
}

function number(name: 'seeds' | 'from' | 'worldSize' | 'processes' | 'seed' | 'worlds'): number {
  const value = Number(values[name] ?? seedOfToday());
  return Number.isSafeInteger(value) && value > 0
    ? value
    : stop(`--${name === 'worldSize' ? 'world-size' : name} must be a positive whole number`);
}

/** Returns the first seed of today: the UTC date followed by five digits, so each day has 100,000 seeds. */
function seedOfToday(): number {
  return Number(new Date().toISOString().slice(0, 10).replaceAll('-', '')) * 100_000 + 1;
}

function killAt(): { killAt: KillAt } | Record<string, never> {
  const given = values.killAt;
  if (given === undefined) return {};
  const match = /^(before|after):(\d+)$/.exec(given);
  if (match === null) stop(`--kill-at ${given}: use before:12 or after:12`);
  return { killAt: { when: match[1] === 'before' ? 'before' : 'after', commit: Number(match[2]) } };
}

async function one(seed: number): Promise<void> {
  const run = await simulate({ seed, faults, vmsMax, tracing: true, replays: true, ...killAt() });
  if (values.trace) console.log(run.lines.join('\n'));
  for (const { rule, message } of run.violations) console.log(`seed ${seed}: ${rule}: ${message}`);
  console.log(
    `seed ${seed}: ${run.entries} entries, head ${run.head.slice(0, 16)}, ${run.violations.length} violations`,
  );
  process.exitCode = run.violations.length > 0 ? 1 : 0;
}

async function many(): Promise<void> {
  const [seeds, from, processes] = [number('seeds'), number('from'), number('processes')];
  if (!values.json) console.log(`${seeds} seeds from ${from}${everyCommit ? ', with a kill at every commit' : ''}`);
  const begun = performance.now();
  const reports = await Promise.all(
    Array.from({ length: processes }, (_, nth) => worker(from + nth, from + seeds, processes)),
  );
  const failures = reports.flatMap((report) => report.failures).toSorted((a, b) => a.seed - b.seed);
  const worlds = reports.reduce((sum, report) => sum + report.worlds, 0);
  const entries = reports.reduce((sum, report) => sum + report.entries, 0);
  const restarts = reports.reduce((sum, report) => sum + report.restarts, 0);
  const rows = sum(reports.map((report) => report.rows));
  const seconds = Math.round((performance.now() - begun) / 1000);
  if (values.json) console.log(JSON.stringify({ worlds, entries, restarts, rows, failures, seconds }));
  else {
    console.log(
      `${worlds} worlds from seed ${from}: ${entries} entries, ${restarts} kills, ${failures.length} failed, ${seconds} s`,
    );
    console.log(
      `verdicts: ${Object.entries(rows)
        .toSorted(([, a], [, b]) => b - a)
        .map(([row, count]) => `${row} ${count}`)
        .join(', ')}`,
    );
    for (const failure of failures.slice(0, PRINTED_MAX)) await explain(failure);
  }
  process.exitCode = failures.length > 0 ? 1 : 0;
}

function worker(from: number, to: number, step: number): Promise<Report> {
  const file = new URL('../test/simulation/simulate-worker.ts', import.meta.url);
  const child = fork(file, [JSON.stringify({ from, to, step, vmsMax, without, everyCommit })], { stdio: 'inherit' });
  return new Promise((resolve, reject) => {
    let report: Report | null = null;
    child.on('message', (message: Report) => {
      report = message;
    });
    child.on('error', reject);
    child.on('exit', (code) =>
      report === null ? reject(new Error(`a worker process exited with code ${code}`)) : resolve(report),
    );
  });
}

function sum(counts: readonly Record<string, number>[]): Record<string, number> {
  const all: Record<string, number> = {};
  for (const count of counts) for (const [key, value] of Object.entries(count)) all[key] = (all[key] ?? 0) + value;
  return all;
}

/** Prints the smallest world that still fails, and the end of its trace. */
async function explain({ seed, rule, message }: Report['failures'][number]): Promise<void> {
  if (everyCommit) {
    const [, when, commit] = /^killed (before|after) commit (\d+)/.exec(message) ?? [];
    console.log(`\nseed ${seed}: ${rule}: ${message}`);
    const off = [...without, 'service-crash', 'service-restart'].join(',');
    return console.log(
      `replay: npm run simulate -- --seed ${seed} --trace --world-size ${vmsMax} --kill-at ${when}:${commit} --without ${off}`,
    );
  }
  const small = await shrink({ seed, faults, vmsMax }, rule);
  const off = faultKinds.filter((kind) => !small.faults.has(kind));
  const run = await simulate({ ...small, tracing: true, replays: true });
  console.log(`\nseed ${seed}: ${rule}: ${message}`);
  const first = run.lines.findIndex((line) => line.includes('VIOLATION'));
  console.log(
    run.lines
      .slice(Math.max(0, first - 15), first + 1)
      .map((line) => `  ${line.slice(0, 160)}`)
      .join('\n'),
  );
  console.log(
    `replay: npm run simulate -- --seed ${seed} --trace --world-size ${small.vmsMax} --without ${off.join(',')}`,
  );
}

if (values.kafka) {
  const [seed, worlds] = [number('seed'), values.worlds === undefined ? 1 : number('worlds')];
  const { trace, json } = values;
  const failed = await simulateKafkaWorlds({ seed, worlds, processes: number('processes'), trace, json });
  process.exitCode = failed > 0 ? 1 : 0;
} else if (values.seed === undefined) await many();
else await one(Number(values.seed));
