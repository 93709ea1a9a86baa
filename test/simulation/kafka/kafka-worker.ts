import { simulateKafka } from './simulate-kafka.ts';

/** Simulates every `step`-th Kafka world from `from` up to but not including `to`, in a process of its own. */
type Work = { readonly from: number; readonly to: number; readonly step: number };

export type KafkaReport = {
  readonly worlds: number;
  readonly entries: number;
  readonly claims: number;
  /** The number of starts of instances. */
  readonly starts: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly failures: readonly { readonly seed: number; readonly rule: string; readonly message: string }[];
};

const { from, to, step } = JSON.parse(process.argv[2] ?? '{}') as Work;
const faults: Record<string, number> = {};
const failures: { seed: number; rule: string; message: string }[] = [];
const sums = { worlds: 0, entries: 0, claims: 0, starts: 0 };
for (let seed = from; seed < to; seed += step) {
  const run = await simulateKafka({ seed });
  sums.worlds += 1;
  sums.entries += run.entries;
  sums.claims += run.claims;
  sums.starts += run.starts;
  for (const [kind, count] of run.happened) faults[kind] = (faults[kind] ?? 0) + count;
  const [violation] = run.violations;
  if (violation !== undefined) failures.push({ seed, rule: violation.rule, message: violation.message });
}
const report: KafkaReport = { ...sums, faults, failures };
process.send?.(report, () => process.exit(0));
