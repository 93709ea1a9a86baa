import { fork } from 'node:child_process';
import type { KafkaReport } from '../test/simulation/kafka/kafka-worker.ts';
import { simulateKafka } from '../test/simulation/kafka/simulate-kafka.ts';

/** The part of `npm run simulate` for worlds with several instances on simulated Kafka brokers. */

export type KafkaWorlds = {
  readonly seed: number;
  readonly worlds: number;
  readonly processes: number;
  readonly trace: boolean;
  readonly json: boolean;
};

/** Simulates Kafka worlds, prints the result, and returns the number of worlds that broke a rule. */
export async function simulateKafkaWorlds(plan: KafkaWorlds): Promise<number> {
  return plan.worlds === 1 ? one(plan) : many(plan);
}

async function one({ seed, trace }: KafkaWorlds): Promise<number> {
  const run = await simulateKafka({ seed, tracing: trace });
  if (trace) console.log(run.lines.join('\n'));
  for (const { rule, message } of run.violations) console.log(`seed ${seed}: ${rule}: ${message}`);
  const { entries, claims, heads, violations } = run;
  console.log(`seed ${seed}: ${entries} entries, ${claims} claims, heads ${heads}, ${violations.length} violations`);
  return violations.length > 0 ? 1 : 0;
}

async function many({ seed, worlds, processes, json }: KafkaWorlds): Promise<number> {
  const begun = performance.now();
  const reports = await Promise.all(
    Array.from({ length: processes }, (_, nth) => worker({ from: seed + nth, to: seed + worlds, step: processes })),
  );
  const sum = (of: (report: KafkaReport) => number) => reports.reduce((total, report) => total + of(report), 0);
  const faults: Record<string, number> = {};
  for (const report of reports)
    for (const [kind, count] of Object.entries(report.faults)) faults[kind] = (faults[kind] ?? 0) + count;
  const failures = reports.flatMap((report) => report.failures).toSorted((a, b) => a.seed - b.seed);
  const seconds = Math.round((performance.now() - begun) / 1000);
  const [entries, claims, starts] = [
    sum((each) => each.entries),
    sum((each) => each.claims),
    sum((each) => each.starts),
  ];
  if (json) console.log(JSON.stringify({ worlds, seed, entries, claims, starts, faults, failures, seconds }));
  else {
    console.log(`${worlds} Kafka worlds from seed ${seed}: ${failures.length} failed, ${seconds} s`);
    console.log(`${entries} entries, ${claims} claims of partitions, ${starts} starts of instances`);
    console.log(
      `faults: ${Object.entries(faults)
        .map(([kind, count]) => `${kind} ${count}`)
        .join(', ')}`,
    );
    for (const each of failures) {
      console.log(`seed ${each.seed}: ${each.rule}: ${each.message}`);
      console.log(`replay: npm run simulate -- --kafka --seed ${each.seed} --trace`);
    }
  }
  return failures.length;
}

function worker(work: { from: number; to: number; step: number }): Promise<KafkaReport> {
  const file = new URL('../test/simulation/kafka/kafka-worker.ts', import.meta.url);
  const child = fork(file, [JSON.stringify(work)], { stdio: 'inherit' });
  return new Promise((resolve, reject) => {
    let report: KafkaReport | null = null;
    child.on('message', (message: KafkaReport) => {
      report = message;
    });
    child.on('error', reject);
    child.on('exit', (code) =>
      report === null ? reject(new Error(`a worker process exited with code ${code}`)) : resolve(report),
    );
  });
}
