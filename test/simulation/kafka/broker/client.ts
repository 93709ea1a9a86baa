import type {
  ConsumerEvents,
  ConsumerSettings,
  GroupOffset,
  KafkaAdmin,
  KafkaClient,
  KafkaProducer,
  KafkaTransaction,
  NewRecord,
  NewTopic,
  TransactionalProducer,
  TransactionOptions,
} from '../../../../kafka/port.ts';
import type { SimulatedCluster } from './cluster.ts';
import { SimulatedConsumer } from './consumer.ts';
import { BrokerError } from './errors.ts';
import { type ClientProcess, Link } from './network.ts';
import type { Session } from './transactions.ts';

/** The Kafka client of one process, connected to a simulated cluster. */
export function simulatedClient(cluster: SimulatedCluster, process: ClientProcess, clientId: string): KafkaClient {
  const link = new Link(cluster.network, process);
  return {
    admin: () => new SimulatedAdmin(cluster, link),
    producer: () => new SimulatedProducer(cluster, link),
    transactionalProducer: (options: TransactionOptions) => new SimulatedTransactions(cluster, link, options),
    consumer: (settings: ConsumerSettings, events: ConsumerEvents) =>
      new SimulatedConsumer({ cluster, link, clientId, settings, events }),
  };
}

class SimulatedAdmin implements KafkaAdmin {
  readonly #cluster: SimulatedCluster;
  readonly #link: Link;

  constructor(cluster: SimulatedCluster, link: Link) {
    this.#cluster = cluster;
    this.#link = link;
  }

  connect(): Promise<void> {
    return this.#link.ask(() => {});
  }

  async close(): Promise<void> {}

  topicNames() {
    return this.#link.ask(() => this.#cluster.topicNames);
  }

  layouts(topics: readonly string[]) {
    return this.#link.ask(() => this.#cluster.layouts(topics));
  }

  createTopics(topics: readonly NewTopic[]): Promise<void> {
    return this.#link.ask(() => this.#cluster.createTopics(topics));
  }

  configs(wanted: readonly { topic: string; names: readonly string[] }[]) {
    return this.#link.ask(() => this.#cluster.configs(wanted));
  }

  ranges(topic: string) {
    return this.#link.ask(() => this.#cluster.ranges(topic));
  }

  groupClients(group: string) {
    return this.#link.ask(() => this.#cluster.groups.clients(group));
  }
}

class SimulatedProducer implements KafkaProducer {
  readonly #cluster: SimulatedCluster;
  readonly #link: Link;
  #isClosed = false;

  constructor(cluster: SimulatedCluster, link: Link) {
    this.#cluster = cluster;
    this.#link = link;
  }

  connect(): Promise<void> {
    return this.#link.ask(() => {});
  }

  async close(): Promise<void> {
    this.#isClosed = true;
  }

  async send(topic: string, partition: number, records: readonly NewRecord[]): Promise<number | null> {
    if (this.#isClosed) throw new BrokerError('PRODUCER_CLOSED');
    const send = {};
    return this.#link.ask(() =>
      acknowledge(this.#cluster, topic, partition, send, () => this.#cluster.append(topic, partition, send, records)),
    );
  }
}

class SimulatedTransactions implements TransactionalProducer {
  readonly #cluster: SimulatedCluster;
  readonly #link: Link;
  readonly #options: TransactionOptions;
  #session: Session | null = null;

  constructor(cluster: SimulatedCluster, link: Link, options: TransactionOptions) {
    this.#cluster = cluster;
    this.#link = link;
    this.#options = options;
  }

  connect(): Promise<void> {
    return this.#link.ask(() => {});
  }

  async close(): Promise<void> {}

  async begin(): Promise<KafkaTransaction> {
    const { id, topic, partition, timeoutMs } = this.#options;
    const [cluster, link] = [this.#cluster, this.#link];
    const { transactions } = cluster;
    const session = (this.#session ??= await link.ask(() => transactions.init(id, timeoutMs)));
    const end = {};
    return {
      send: (records: readonly NewRecord[]) => {
        const send = {};
        return link.ask(() =>
          acknowledge(cluster, topic, partition, send, () =>
            transactions.append(session, cluster.log(topic, partition), send, records),
          ),
        );
      },
      sendOffset: (offset: GroupOffset) => link.ask(() => transactions.addOffset(session, offset)),
      commit: () => link.ask(() => transactions.commit(session, end)),
    };
  }
}

/**
 * Returns the reply to a send. A broker that recognises a repeated send may have forgotten the offset of the first
 * send.
 */
function acknowledge(
  cluster: SimulatedCluster,
  topic: string,
  partition: number,
  send: object,
  append: () => number,
): number | null {
  const isRepeated = cluster.log(topic, partition).hasSend(send);
  const offset = append();
  return isRepeated && cluster.network.fault('offset-unknown') ? null : offset;
}
