import type { Admin, Kafka } from 'kafkajs';
import { abandon, briefly } from './client.ts';
import { kafkaFault } from './faults.ts';

type Ends = ReadonlyMap<number, { readonly low: number; readonly high: number }>;

/** Where the partitions of a topic begin and end. Those who ask at the same time share one question, asked after they did. */
export class TopicEnds {
  readonly #kafka: Kafka;
  readonly #topic: string;
  #admin: Promise<Admin> | null = null;
  #asked: Promise<Ends> | null = null;

  constructor(kafka: Kafka, topic: string) {
    this.#kafka = kafka;
    this.#topic = topic;
  }

  /** The offset after the last record of each partition. @throws Fault KAFKA_…. */
  async now(): Promise<ReadonlyMap<number, number>> {
    return new Map([...(await this.held())].map(([partition, { high }]) => [partition, high]));
  }

  /** The offset of the first record of each partition, and the one after its last. @throws Fault KAFKA_…. */
  async held(): Promise<Ends> {
    // One that is being answered may have been asked too early.
    await this.#asked?.catch(() => {});
    this.#asked ??= this.#ask().finally(() => {
      this.#asked = null;
    });
    return this.#asked;
  }

  async close(): Promise<void> {
    // One that is still connecting is closed when it has.
    if (this.#admin !== null) await briefly(this.#admin.then(abandon));
  }

  async #ask(): Promise<Ends> {
    try {
      this.#admin ??= this.#connect();
      const ends = await (await this.#admin).fetchTopicOffsets(this.#topic);
      return new Map(ends.map(({ partition, low, high }) => [partition, { low: Number(low), high: Number(high) }]));
    } catch (error) {
      void this.close();
      this.#admin = null;
      throw kafkaFault(error);
    }
  }

  async #connect(): Promise<Admin> {
    const admin = this.#kafka.admin();
    await admin.connect();
    return admin;
  }
}
