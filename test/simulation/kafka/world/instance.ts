import { DecisionTracker } from '../../../../consumers/kafka/decision-tracker.ts';
import { Membership } from '../../../../consumers/kafka/membership.ts';
import { RecordProducer } from '../../../../kafka/record-producer.ts';
import { inputsStream } from '../../../../log/kafka/inputs-stream.ts';
import { KafkaLedger } from '../../../../log/kafka/ledger.ts';
import { Replica, type ReadableListener } from '../../../../log/kafka/replica.ts';
import { openOwnership, obstacleOf } from '../../../../service/engine/cluster-ownership.ts';
import type { Receipt, Submission } from '../../../../service/engine/engine.ts';
import { TopicInputs } from '../../../../service/engine/topic-inputs.ts';
import { simulatedClient } from '../broker/client.ts';
import type { SimulatedCluster } from '../broker/cluster.ts';
import type { KafkaSim } from './kafka-sim.ts';
import { SimulatedProcess } from './process.ts';
import { DiskStore, ReplicaDisk } from './replica-disk.ts';

export const PREFIX = 'landfall';
const SESSION_MS = 6000;

type Wiring = {
  readonly sim: KafkaSim;
  readonly cluster: SimulatedCluster;
  readonly partitions: number;
  /** Called with the entries that became readable in a replica. */
  readonly readable: ReadableListener;
};

/** The parts of a running process. */
type Running = {
  readonly process: SimulatedProcess;
  ledger: KafkaLedger<DiskStore> | null;
  membership: Membership | null;
  inputs: TopicInputs | null;
  producers: readonly RecordProducer[];
  isStopping: boolean;
};

/** One instance of a cluster: the product's ledger, membership, ownerships, relays and input sending, on a machine with disks. */
export class Instance {
  readonly name: string;
  readonly disks: readonly ReplicaDisk[];
  skewMs = 0;
  slowMs = 0;
  starts = 0;
  readonly #wiring: Wiring;
  #running: Running | null = null;

  constructor(name: string, wiring: Wiring) {
    this.name = name;
    this.#wiring = wiring;
    this.disks = Array.from({ length: wiring.partitions }, () => new ReplicaDisk());
  }

  /** Describes the faults of the owned partitions and replicas, for the trace of a world that does not settle. */
  get troubles(): string[] {
    const { membership = null, ledger = null } = this.#running ?? {};
    const ownerships = [...(membership?.ownerships ?? [])];
    return [
      `${this.name}: ${membership?.absence ?? 'joined'}`,
      ...ownerships.map(([partition, { fault }]) => `owns ${partition} (${fault?.message ?? 'ready'})`),
      ...this.disks.map(
        (disk, nth) => `replica ${nth} at ${disk.stored.length} ${ledger?.replica(nth).fault?.message ?? ''}`,
      ),
    ];
  }

  start(): void {
    if (this.#running !== null) return;
    const { sim } = this.#wiring;
    const process = new SimulatedProcess(sim);
    process.skewMs = this.skewMs;
    process.slowMs = this.slowMs;
    this.starts += 1;
    const running: Running = {
      process,
      ledger: null,
      membership: null,
      inputs: null,
      producers: [],
      isStopping: false,
    };
    this.#running = running;
    sim.trace(() => `${this.name} starts`);
    process.run(() => {
      this.#open(running).catch((error: unknown) => {
        sim.trace(() => `${this.name} cannot start: ${String(error)}`);
        this.kill(`it cannot start`);
      });
    });
  }

  /** Changes the clock and the speed of the machine. */
  set(change: { readonly skewMs?: number; readonly slowMs?: number }): void {
    this.skewMs = change.skewMs ?? this.skewMs;
    this.slowMs = change.slowMs ?? this.slowMs;
    const process = this.#running?.process;
    if (process === undefined) return;
    process.skewMs = this.skewMs;
    process.slowMs = this.slowMs;
  }

  freeze(ms: number): void {
    this.#running?.process.freeze(ms);
  }

  /** Kills the process, and starts it again later. The newest commits of its disks may be lost. */
  kill(why: string): void {
    const { sim } = this.#wiring;
    if (this.#running === null) return;
    sim.trace(() => `${this.name} is killed (${why})`);
    this.#running.process.kill();
    this.#running = null;
    const random = sim.random('instance');
    for (const disk of this.disks) disk.crash(random.integer(0, 3));
    sim.after(random.integer(200, 15_000), () => this.start());
  }

  /** Stops the process in order, and starts it again later. */
  stop(): void {
    const running = this.#running;
    if (running === null || running.isStopping || running.ledger === null) return;
    this.#wiring.sim.trace(() => `${this.name} stops`);
    running.isStopping = true;
    running.process.run(() => {
      void this.#close(running).finally(() => {
        if (this.#running === running) this.kill('it has stopped');
      });
    });
  }

  async #close({ membership, producers, ledger }: Running): Promise<void> {
    await membership?.stop();
    await Promise.all(producers.map((producer) => producer.close()));
    await ledger?.close();
  }

  /** Passes the outcome to `reply`, which is never called if the process is killed before. */
  submit(submissions: readonly Submission[], reply: (receipts: readonly Receipt[] | Error) => void): void {
    const running = this.#running;
    const inputs = running?.inputs ?? null;
    if (running === null || inputs === null || running.isStopping) return reply(new Error('connection refused'));
    // Most clients ask a load balancer, which knows the instances that are ready.
    if (!this.#isCopied(running) && this.#wiring.sim.random('clients').chance(0.9))
      return reply(new Error('not ready'));
    running.process.run(() => {
      inputs.submit(submissions).then(reply, (error: unknown) => reply(error instanceof Error ? error : new Error()));
    });
  }

  #isCopied({ inputs, process }: Running): boolean {
    return this.disks.every((_, partition) => inputs?.isCopied(partition, process.wallMs) === true);
  }

  /** Connects the parts as service/engine/open-cluster.ts does. */
  async #open(running: Running): Promise<void> {
    const { sim, cluster, partitions, readable } = this.#wiring;
    const { process } = running;
    const { time } = process;
    const log = (level: string, message: string, details: object) =>
      sim.trace(() => `${this.name} ${level}: ${message} ${JSON.stringify(details)}`);
    const client = simulatedClient(cluster, process, this.name);
    let trackers: readonly DecisionTracker[] = [];
    const published: ReadableListener = (partition, entries, head, positions) => {
      readable(partition, entries, head, positions);
      trackers[partition]?.applyCommitted(entries, head, positions);
    };
    const ledger = await KafkaLedger.over(
      { clientId: this.name, prefix: PREFIX, log, readable: published },
      client,
      (partition, listener) => Replica.over(this.#store(partition, process), partition, listener),
    );
    running.ledger = ledger;
    const producers = { inputs: new RecordProducer(client), outgoing: new RecordProducer(client) };
    running.producers = [producers.inputs, producers.outgoing];
    trackers = Array.from({ length: partitions }, (_, partition) => trackerOf(ledger, partition));
    const directory = (partition: number) => ledger.replica(partition).ledger.disk.ledger;
    const membership: Membership = new Membership({
      kafka: ledger.kafka,
      group: ledger.group,
      topic: ledger.topics.inputs,
      partitions,
      log,
      sessionTimeoutMs: SESSION_MS,
      open: (partition) => openOwnership(partition, { ledger, producers, membership, directory }, { time, log }),
      obstacle: (partition) => obstacleOf(partition, { ledger, directory }, time),
      rebalanced: (owned) => sim.trace(() => `${this.name} is assigned ${owned.join(', ')}`),
    });
    running.membership = membership;
    running.inputs = new TopicInputs({
      ledger,
      producer: producers.inputs,
      decisions: trackers,
      fault: (partition) => membership.ownerships.get(partition)?.fault ?? null,
      isStopped: () => running.isStopping,
    });
    membership.start();
  }

  #store(partition: number, process: SimulatedProcess): DiskStore {
    const disk = this.disks[partition];
    if (disk === undefined) throw new RangeError(`there is no partition ${partition}`);
    return new DiskStore(disk, partition, this.#wiring.sim, process);
  }
}

function trackerOf(ledger: KafkaLedger<DiskStore>, partition: number): DecisionTracker {
  const { inputPositions, checkpoints } = ledger.replica(partition);
  const stream = inputsStream(checkpoints, ledger.topics.inputs, partition);
  return new DecisionTracker(stream, inputPositions.get(stream) ?? -1);
}
