import { topicsOf } from '../../../kafka/options.ts';
import type { Violation } from '../world/sim.ts';
import { SimulatedCluster } from './broker/cluster.ts';
import type { KafkaFault } from './faults.ts';
import { KafkaChecker } from './world/checker.ts';
import { planDisasters } from './world/disasters.ts';
import { Instance, PREFIX } from './world/instance.ts';
import { KafkaSim, type LikelyKafkaFaults } from './world/kafka-sim.ts';
import { Workload } from './world/workload.ts';

export type KafkaOptions = {
  readonly seed: number;
  readonly without?: ReadonlySet<KafkaFault>;
  readonly tracing?: boolean;
  readonly likely?: LikelyKafkaFaults;
  /** Only a violation of one of these rules ends the world early. */
  readonly until?: readonly string[];
};

export type KafkaRun = {
  readonly seed: number;
  readonly violations: readonly Violation[];
  readonly lines: readonly string[];
  readonly happened: ReadonlyMap<KafkaFault, number>;
  readonly entries: number;
  readonly claims: number;
  readonly heads: string;
  readonly starts: number;
  /** The virtual duration. */
  readonly seconds: number;
};

const CALM_MS = 5000;
/** The longest time that Landfall may need after the last fault: time limits, claims and declined partitions. */
const AFTERMATH_MS = 400_000;
const CHECK_MS = 500;

/** Simulates one world of several instances on a Kafka cluster. The same options give the same run. */
export async function simulateKafka(options: KafkaOptions): Promise<KafkaRun> {
  const sim = new KafkaSim(options.seed, options.without ?? new Set(), options.tracing ?? false, options.likely);
  const random = sim.random('settings');
  const partitions = random.integer(1, 3);
  const cluster = new SimulatedCluster(sim);
  createTopics(cluster, partitions);
  const checker = new KafkaChecker(sim, cluster, partitions);
  const instances: Instance[] = [];
  for (let nth = 1; nth <= random.integer(1, 3); nth += 1) {
    const wiring = { sim, cluster, partitions };
    const readable: KafkaChecker['readable'] = (...batch) => checker.readable(...batch);
    instances.push(new Instance(`i${nth}`, { ...wiring, readable }));
  }
  const workload = new Workload(sim, instances, (...each) => checker.acknowledged(...each));
  for (let partition = 0; partition < partitions; partition += 1)
    cluster.log(topicsOf(PREFIX).commands, partition).onVisible = (records) => workload.work(records);
  sim.faultsUntil = random.integer(10_000, 40_000);
  for (const instance of instances) sim.after(random.integer(0, 3000), () => instance.start());
  workload.plan(sim.faultsUntil);
  planDisasters(sim, cluster, instances);
  const isBroken = () => sim.violations.some(({ rule }) => options.until === undefined || options.until.includes(rule));
  const isDone = () =>
    isBroken() ||
    (sim.now() > sim.faultsUntil + CALM_MS && workload.waiting === 0 && checker.unfinished(instances).length === 0);
  const end = sim.faultsUntil + AFTERMATH_MS;
  let now = 0;
  while (now < end && !isDone()) {
    now += CHECK_MS;
    await sim.schedule.runUntil(now, isBroken);
    sim.schedule.now = Math.max(sim.schedule.now, now);
  }
  if (!isBroken()) checker.finish(instances);
  if (!isBroken() && workload.waiting > 0)
    sim.violate('every input has a reply', `${workload.waiting} inputs have no reply`);
  if (sim.violations.length > 0) for (const { troubles } of instances) sim.trace(() => troubles.join('; '));
  return {
    seed: options.seed,
    violations: sim.violations,
    lines: sim.lines,
    happened: sim.happened,
    entries: checker.entries,
    claims: checker.claims,
    heads: checker.heads,
    starts: instances.reduce((sum, { starts }) => sum + starts, 0),
    seconds: sim.now() / 1000,
  };
}

function createTopics(cluster: SimulatedCluster, partitions: number): void {
  const { inputs, ledger, commands, deadLetters } = topicsOf(PREFIX);
  const week = String(7 * 86_400_000);
  const base = { 'cleanup.policy': 'delete', 'max.message.bytes': String(64 * 1024 * 1024) };
  const kept = { ...base, 'retention.ms': '-1', 'retention.bytes': '-1', 'message.timestamp.type': 'CreateTime' };
  const leaving = { ...base, 'retention.ms': String(Number(week) * 52), 'retention.bytes': '-1' };
  const topic = (name: string, count: number, configs: Record<string, string>) => ({
    topic: name,
    partitions: count,
    replicationFactor: 1,
    configs,
  });
  cluster.createTopics([
    topic(ledger, partitions, kept),
    topic(inputs, partitions, leaving),
    topic(commands, partitions, leaving),
    topic(deadLetters, 1, leaving),
  ]);
}
