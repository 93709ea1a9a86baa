import type { NewRecord, NewTopic, OffsetRange, TopicLayout } from '../../../../kafka/port.ts';
import { BrokerError } from './errors.ts';
import { GroupCoordinator } from './groups.ts';
import type { Network } from './network.ts';
import { PartitionLog } from './partition-log.ts';
import { TransactionCoordinator } from './transactions.ts';

type Topic = {
  readonly logs: readonly PartitionLog[];
  readonly configs: ReadonlyMap<string, string>;
  readonly replicas: number;
};

/** One partition that a fetch requests. */
export type Wanted = { readonly topic: string; readonly partition: number; readonly from: number };
export type FetchedPart = Wanted & NonNullable<ReturnType<PartitionLog['fetch']>>;

const RECORDS_PER_FETCH = 20;

/** A simulated Kafka cluster: its topics, transactions and groups. Its methods handle the requests of clients. */
export class SimulatedCluster {
  readonly network: Network;
  readonly transactions: TransactionCoordinator;
  readonly groups: GroupCoordinator;
  readonly #topics = new Map<string, Topic>();

  constructor(network: Network) {
    this.network = network;
    this.groups = new GroupCoordinator(network, (topic) => this.#topics.get(topic)?.logs.length ?? 0);
    this.transactions = new TransactionCoordinator(network, (offset) => this.groups.commitInTransaction(offset));
  }

  get topicNames(): string[] {
    return [...this.#topics.keys()];
  }

  /** All partitions of all topics. */
  get logs(): PartitionLog[] {
    return [...this.#topics.values()].flatMap(({ logs }) => logs);
  }

  createTopics(topics: readonly NewTopic[]): void {
    const existing = topics.find(({ topic }) => this.#topics.has(topic));
    if (existing !== undefined) throw new BrokerError('TOPIC_ALREADY_EXISTS', `${existing.topic} exists`);
    for (const { topic, partitions, replicationFactor, configs } of topics) {
      const now = () => this.network.now();
      const logs = Array.from({ length: partitions }, (_, partition) => new PartitionLog(topic, partition, now));
      this.#topics.set(topic, { logs, configs: new Map(Object.entries(configs)), replicas: replicationFactor });
    }
  }

  layouts(names: readonly string[]): TopicLayout[] {
    return names.map((topic) => {
      const { logs, replicas } = this.#topic(topic);
      return { topic, partitions: logs.map(({ hasLeader }) => ({ hasLeader, replicas })) };
    });
  }

  configs(wanted: readonly { topic: string; names: readonly string[] }[]): Map<string, Map<string, string>> {
    return new Map(
      wanted.map(({ topic, names }) => {
        const { configs } = this.#topic(topic);
        return [topic, new Map([...configs].filter(([name]) => names.includes(name)))];
      }),
    );
  }

  ranges(topic: string): Map<number, OffsetRange> {
    return new Map(this.#topic(topic).logs.map((log) => [log.partition, log.range]));
  }

  /** @throws BrokerError UNKNOWN_TOPIC_OR_PARTITION. */
  log(topic: string, partition: number): PartitionLog {
    const log = this.#topic(topic).logs[partition];
    if (log === undefined) throw new BrokerError('UNKNOWN_TOPIC_OR_PARTITION');
    return log;
  }

  append(topic: string, partition: number, send: object, records: readonly NewRecord[]): number {
    return this.log(topic, partition).append(send, records, null);
  }

  /** Resolves with the records after the wanted offsets, or with nothing after `waitMs`. */
  fetch(wanted: readonly Wanted[], waitMs: number): Promise<FetchedPart[]> {
    const deadline = this.network.now() + waitMs;
    return new Promise((resolve, reject) => {
      const look = () => {
        try {
          const found = this.#fetchNow(wanted);
          if (found.length > 0 || this.network.now() >= deadline) resolve(found);
          else this.#whenChanged(wanted, deadline, look);
        } catch (error) {
          reject(error);
        }
      };
      look();
    });
  }

  #fetchNow(wanted: readonly Wanted[]): FetchedPart[] {
    return wanted.flatMap((each) => {
      const fetched = this.log(each.topic, each.partition).fetch(each.from, this.network.between(1, RECORDS_PER_FETCH));
      return fetched === null ? [] : [{ ...each, ...fetched }];
    });
  }

  #whenChanged(wanted: readonly Wanted[], deadline: number, look: () => void): void {
    let isOver = false;
    const cancels: (() => void)[] = [];
    const once = () => {
      if (isOver) return;
      isOver = true;
      for (const cancel of cancels) cancel();
      look();
    };
    for (const { topic, partition } of wanted) cancels.push(this.log(topic, partition).whenChanged(once));
    this.network.after(deadline - this.network.now(), once);
  }

  #topic(name: string): Topic {
    const topic = this.#topics.get(name);
    if (topic === undefined) throw new BrokerError('UNKNOWN_TOPIC_OR_PARTITION', `there is no topic ${name}`);
    return topic;
  }
}
