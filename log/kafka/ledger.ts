import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { Fault } from '../../events/fault.ts';
import type { Head, Ledger, Owner, StoredEntry } from '../port.ts';
import { createFolderOf } from '../sqlite/folder.ts';
import type { SqliteLedger } from '../sqlite/ledger.ts';
import { connectTo } from '../../kafka/client.ts';
import type { KafkaClient } from '../../kafka/port.ts';
import { Replica, type ReadableListener } from './replica.ts';
import type { ReplicaStore } from './replica-store.ts';
import { LedgerTailer } from './ledger-tailer.ts';
import { type BrokerOptions, groupOf, type KafkaLog, type Topics, topicsOf } from '../../kafka/options.ts';
import { KafkaOwner } from './owner.ts';
import { claimRecord } from './records.ts';
import { requireTopics } from '../../kafka/topics.ts';
import { Transactor } from '../../kafka/transactor.ts';

/**
 * The ledger in a Kafka topic, with a replica of every partition in a folder of this instance. The topic is authoritative: its
 * transactions fence owners, and a new owner continues at its tail.
 */

export type KafkaLedgerOptions = BrokerOptions &
  TopicLedgerOptions & {
    /** The folder of the replicas, one file per partition; not shared with another instance. */
    readonly folder: string;
    readonly projections?: readonly string[];
    readonly machineVersion: string;
  };

export type TopicLedgerOptions = Pick<BrokerOptions, 'clientId'> & {
  readonly prefix: string;
  readonly log?: KafkaLog;
  readonly readable?: ReadableListener;
  readonly committed?: (partition: number, entries: number, ms: number) => void;
};

/** Opens the replica of a partition. */
type OpenReplica<S extends ReplicaStore> = (partition: number, readable: ReadableListener) => Promise<Replica<S>>;

/** The time limit for a new owner to read the tail. */
const TAIL_MS = 60_000;

export class KafkaLedger<S extends ReplicaStore = SqliteLedger> implements Ledger {
  readonly partitions: number;
  readonly kafka: KafkaClient;
  readonly topics: Topics;
  readonly group: string;
  readonly #options: TopicLedgerOptions;
  readonly #replicas: readonly Replica<S>[];
  readonly #tailer: LedgerTailer;
  readonly #owners = new Map<number, KafkaOwner>();

  private constructor(options: TopicLedgerOptions, kafka: KafkaClient, replicas: readonly Replica<S>[]) {
    this.#options = options;
    this.kafka = kafka;
    this.topics = topicsOf(options.prefix);
    this.group = groupOf(options.prefix);
    this.partitions = replicas.length;
    this.#replicas = replicas;
    const { log = () => {} } = options;
    // A random group: every instance reads all partitions, also beside a killed instance or one with the same client id.
    const group = `${options.prefix}.copy.${options.clientId}.${randomUUID()}`;
    const overtaken = (partition: number) => this.#owners.get(partition)?.overtaken(claimedByAnother());
    this.#tailer = new LedgerTailer(kafka, { topic: this.topics.ledger, group, replicas, log, overtaken });
  }

  /** @throws Fault KAFKA_… if the topics do not fit, LEDGER_… if a replica cannot be opened. */
  static open(options: KafkaLedgerOptions): Promise<KafkaLedger> {
    const { folder, projections = [], machineVersion } = options;
    return KafkaLedger.over(options, connectTo(options, options.log), (partition, readable) => {
      const file = join(folder, `${partition}.db`);
      createFolderOf(file);
      return Replica.open({ file, partition, projections, machineVersion }, readable);
    });
  }

  /** Opens the ledger with this client and these replicas. @throws Fault as `open`. */
  static async over<S extends ReplicaStore>(
    options: TopicLedgerOptions,
    kafka: KafkaClient,
    openReplica: OpenReplica<S>,
  ): Promise<KafkaLedger<S>> {
    const { partitions } = await requireTopics(kafka, options.prefix);
    const replicas = await openReplicas(partitions, openReplica, options.readable ?? (() => {}));
    const ledger = new KafkaLedger(options, kafka, replicas);
    try {
      await ledger.#tailer.start();
      return ledger;
    } catch (error) {
      await ledger.close();
      throw error;
    }
  }

  async claim(partition: number, lost: (fault: Fault) => void = () => {}): Promise<Owner> {
    const replica = this.replica(partition);
    await this.#owners.get(partition)?.end(claimedByAnother());
    if (replica.fault !== null) throw replica.fault;
    const { clientId, prefix } = this.#options;
    const claim = randomUUID();
    const tail = this.#tailer.expect(claim);
    const record = claimRecord(claim, clientId);
    const target = { topic: this.topics.ledger, partition };
    let transactor: Transactor | null = null;
    try {
      transactor = await Transactor.open(this.kafka, `${prefix}.${partition}`, target, record);
      await tail.seen(TAIL_MS);
      await replica.settled();
    } catch (error) {
      await transactor?.close();
      throw error;
    } finally {
      tail.forget();
    }
    this.#tailer.leaveOut(partition);
    return this.#own(replica, transactor, lost);
  }

  async head(partition: number): Promise<Head> {
    return this.replica(partition).ledger.head(partition);
  }

  read(partition: number, from: number): AsyncIterable<StoredEntry> {
    return this.replica(partition).ledger.read(partition, from);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#owners.values()].map((owner) => owner.release()));
    await this.#tailer.stop();
    await Promise.all(this.#replicas.map((replica) => replica.close()));
  }

  /** @throws Fault NO_PARTITION. */
  replica(partition: number): Replica<S> {
    const replica = this.#replicas[partition];
    if (replica !== undefined) return replica;
    const remedy = `This ledger has partitions 0 to ${this.partitions - 1}.`;
    throw new Fault('NO_PARTITION', `there is no partition ${partition}`, remedy);
  }

  /** Returns the time since the replica was last known to be complete, in milliseconds; null if it never was. */
  ageMs(partition: number, now: number): number | null {
    return this.#tailer.ageMs(partition, now);
  }

  /** Returns the number of records that the topic has and the replica lacks, as of the last check. */
  lag(partition: number): number {
    return this.#tailer.lag(partition);
  }

  #own(replica: Replica<S>, transactor: Transactor, lost: (fault: Fault) => void): KafkaOwner {
    const { committed } = this.#options;
    const { partition } = replica;
    const owner: KafkaOwner = new KafkaOwner({
      transactor,
      replica,
      inputsTopic: this.topics.inputs,
      group: this.group,
      ...(committed === undefined ? {} : { committed }),
      lost,
      ended: () => {
        if (this.#owners.get(partition) !== owner) return;
        this.#owners.delete(partition);
        this.#tailer.takeUp(partition);
      },
    });
    this.#owners.set(partition, owner);
    return owner;
  }
}

async function openReplicas<S extends ReplicaStore>(
  partitions: number,
  openReplica: OpenReplica<S>,
  readable: ReadableListener,
): Promise<Replica<S>[]> {
  const replicas: Replica<S>[] = [];
  try {
    for (let partition = 0; partition < partitions; partition += 1)
      replicas.push(await openReplica(partition, readable));
    return replicas;
  } catch (error) {
    await Promise.all(replicas.map((replica) => replica.close()));
    throw error;
  }
}

function claimedByAnother(): Fault {
  return new Fault('LEDGER_FENCED', 'another owner has claimed the partition', 'Claim the partition again.');
}
