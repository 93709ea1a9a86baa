import type { Admin, Kafka } from 'kafkajs';
import { abandon } from './client.ts';
import { kafkaFault } from './faults.ts';

/** Where the partitions of a topic end. Those who ask at the same time share one question, asked after they did. */
export class TopicEnds {
  readonly #kafka: Kafka;
  readonly #topic: string;
  #admin: Promise<Admin> | null = null;
  #asked: Promise<Map<number, number>> | null = null;

  constructor(kafka: Kafka, topic: string) {
    this.#kafka = kafka;
    this.#topic = topic;
  }

  /** The offset after the last record of each partition. @throws Fault KAFKA_…. */
  async now(): Promise<ReadonlyMap<number, number>> {
    // One that is being answered may have been asked too early.
    await this.#asked?.catch(() => {});
    this.#asked ??= this.#ask().finally(() => {
      this.#asked = null;
    });
    return this.#asked;
  }

  async close(): Promise<void> {
    await this.#admin?.then(abandon).catch(() => {});
  }

  async #ask(): Promise<Map<number, number>> {
    try {
      this.#admin ??= this.#connect();
      const ends = await (await this.#admin).fetchTopicOffsets(this.#topic);
      return new Map(ends.map(({ partition, high }) => [partition, Number(high)]));
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
