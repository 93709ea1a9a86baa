import type { Consumer, EachBatchPayload, Kafka, KafkaMessage } from 'kafkajs';
import { Fault } from '../../events/fault.ts';
import { abandon } from '../../log/kafka/client.ts';
import { type KafkaLog, streamOf } from '../../log/kafka/options.ts';
import { mapped, type Mapping } from './mapping.ts';

/**
 * Takes inputs from topics of others, at least once: how far it came is committed when what was mapped is durable. What comes
 * twice is recognised by the identity of the events. Instances share the partitions.
 */

export type ForeignOptions = {
  readonly kafka: Kafka;
  readonly group: string;
  readonly mappings: readonly Mapping[];
  /** Resolves once these events are durable. @throws Fault where they may not be: they come again; BAD_EVENT and the like of one. */
  readonly submit: (event: unknown) => Promise<void>;
  /** Resolves once the record is durable among the dead letters. */
  readonly refuse: (letter: RefusedRecord) => Promise<void>;
  readonly log: KafkaLog;
};

type RefusedRecord = {
  readonly stream: string;
  readonly offset: number;
  readonly value: Buffer | null;
  readonly fault: Fault;
};

/** Faults of the record, not of the moment: it would be refused again. */
const LASTING = new Set(['BAD_JSON', 'UNMAPPED', 'BAD_EVENT', 'UNKNOWN_TYPE', 'BAD_SUBJECT', 'TOO_LARGE']);
const FETCH_WAIT_MS = 200;
const RETRY_MS = 1000;

export class ForeignTopics {
  readonly #options: ForeignOptions;
  #consumer: Consumer | null = null;
  #restart: NodeJS.Timeout | null = null;
  #stopped = false;

  constructor(options: ForeignOptions) {
    this.#options = options;
  }

  start(): void {
    void this.#run().catch((error: unknown) => this.#again(error));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#restart !== null) clearTimeout(this.#restart);
    if (this.#consumer !== null) await abandon(this.#consumer);
  }

  async #run(): Promise<void> {
    const { kafka, group, mappings } = this.#options;
    const consumer = kafka.consumer({
      groupId: group,
      maxWaitTimeInMs: FETCH_WAIT_MS,
      allowAutoTopicCreation: false,
      retry: { restartOnFailure: () => Promise.resolve(false) },
    });
    this.#consumer = consumer;
    consumer.on(consumer.events.CRASH, ({ payload }) => this.#again(payload.error));
    await consumer.connect();
    await consumer.subscribe({ topics: [...new Set(mappings.map(({ topic }) => topic))], fromBeginning: true });
    await consumer.run({ autoCommit: false, eachBatchAutoResolve: false, eachBatch: (payload) => this.#take(payload) });
  }

  async #take(payload: EachBatchPayload): Promise<void> {
    const { topic, partition, messages } = payload.batch;
    for (const message of messages) {
      if (!payload.isRunning() || payload.isStale()) return;
      await this.#takeOne(topic, partition, message);
      payload.resolveOffset(message.offset);
      await payload.heartbeat();
    }
    await payload.commitOffsetsIfNecessary(payload.uncommittedOffsets());
  }

  async #takeOne(topic: string, partition: number, { value, offset }: KafkaMessage): Promise<void> {
    const { mappings, submit, refuse } = this.#options;
    try {
      const event = mapped(
        mappings.filter((mapping) => mapping.topic === topic),
        value,
      );
      if (event !== null) await submit(event);
    } catch (error) {
      if (!(error instanceof Fault && LASTING.has(error.code))) throw error;
      await refuse({ stream: streamOf(topic, partition), offset: Number(offset), value, fault: error });
    }
  }

  /** From the last offset that was committed on. */
  #again(error: unknown): void {
    if (this.#stopped || this.#restart !== null) return;
    this.#options.log('warn', 'topics of others are not read just now', { error: String(error) });
    this.#restart = setTimeout(() => {
      this.#restart = null;
      void (this.#consumer === null ? Promise.resolve() : abandon(this.#consumer)).then(() => {
        if (!this.#stopped) this.start();
      });
    }, RETRY_MS);
  }
}
