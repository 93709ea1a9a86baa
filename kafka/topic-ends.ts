import { administer } from './client.ts';
import { kafkaFault } from './faults.ts';
import type { KafkaAdmin, KafkaClient, OffsetRange } from './port.ts';
import { untilTopicsKnown } from './topic-metadata.ts';

type Ranges = ReadonlyMap<number, OffsetRange>;

/** Returns the offset range of each partition of a topic, read once. @throws Fault KAFKA_…. */
export function offsetRanges(kafka: Pick<KafkaClient, 'admin'>, topic: string): Promise<Ranges> {
  return administer(kafka, (admin) => untilTopicsKnown(() => admin.ranges(topic)));
}

/** Reads the offset ranges of a topic repeatedly over one connection. Simultaneous callers share one request. */
export class TopicEnds {
  readonly #kafka: Pick<KafkaClient, 'admin'>;
  readonly #topic: string;
  #admin: KafkaAdmin | null = null;
  #connecting: Promise<void> | null = null;
  #request: Promise<Ranges> | null = null;

  constructor(kafka: Pick<KafkaClient, 'admin'>, topic: string) {
    this.#kafka = kafka;
    this.#topic = topic;
  }

  /** Returns the offset after the last committed record of each partition. @throws Fault KAFKA_…. */
  async ends(): Promise<ReadonlyMap<number, number>> {
    return new Map([...(await this.ranges())].map(([partition, { high }]) => [partition, high]));
  }

  /** Returns the offset range of each partition, not older than this call. @throws Fault KAFKA_…. */
  async ranges(): Promise<Ranges> {
    // The answer to a request under way may be older than this call, so a new request is made.
    await this.#request?.catch(() => {});
    this.#request ??= this.#read().finally(() => {
      this.#request = null;
    });
    return this.#request;
  }

  async close(): Promise<void> {
    const admin = this.#admin;
    const connecting = this.#connecting;
    this.#admin = null;
    this.#connecting = null;
    if (admin === null) return;
    await admin.close();
    // kafkajs cannot abort a connection attempt, so the connection is closed once it is made.
    void connecting?.then(() => admin.close()).catch(() => {});
  }

  async #read(): Promise<Ranges> {
    try {
      this.#admin ??= this.#kafka.admin();
      this.#connecting ??= this.#admin.connect();
      const admin = this.#admin;
      await this.#connecting;
      return await admin.ranges(this.#topic);
    } catch (error) {
      void this.close();
      throw kafkaFault(error);
    }
  }
}
