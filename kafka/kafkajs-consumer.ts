import type { Batch, Consumer, ConsumerConfig, ConsumerRunConfig, EachBatchPayload } from 'kafkajs';
import { assignersOf } from './assigner.ts';
import { briefly } from './bounded.ts';
import type { Kafka } from './kafkajs.ts';
import type { BatchProgress, ConsumerEvents, ConsumerSettings, FetchedBatch, KafkaConsumer } from './port.ts';

/** A member of a group with kafkajs, which does not restart itself: a consumer that has crashed is replaced. */
export class KafkajsConsumer implements KafkaConsumer {
  readonly #consumer: Consumer;
  readonly #events: ConsumerEvents;
  readonly #concurrency: number;
  #isClosed = false;
  #crash: Error | null = null;

  constructor(kafka: Kafka, settings: ConsumerSettings, events: ConsumerEvents) {
    this.#consumer = kafka.consumer(configOf(settings));
    this.#events = events;
    this.#concurrency = settings.concurrency ?? 1;
    this.#listen();
  }

  #listen(): void {
    const [consumer, events] = [this.#consumer, this.#events];
    const { GROUP_JOIN, REBALANCING, HEARTBEAT, FETCH, END_BATCH_PROCESS, CRASH } = consumer.events;
    consumer.on(GROUP_JOIN, ({ payload }) => events.assigned(new Map(Object.entries(payload.memberAssignment))));
    consumer.on(REBALANCING, () => events.rebalancing());
    consumer.on(HEARTBEAT, () => events.heartbeat());
    consumer.on(FETCH, () => events.fetched());
    consumer.on(END_BATCH_PROCESS, ({ payload: { partition, lastOffset, batchSize } }) =>
      events.passed(partition, Number(lastOffset) + 1, batchSize),
    );
    consumer.on(CRASH, ({ payload: { error } }) => {
      this.#crash ??= error;
      events.crashed(error);
    });
  }

  async start(topics: readonly string[]): Promise<void> {
    const config: ConsumerRunConfig = {
      autoCommit: false,
      eachBatchAutoResolve: false,
      partitionsConsumedConcurrently: this.#concurrency,
      eachBatch: (payload) => this.#events.batch(batchOf(payload.batch), progressOf(payload)),
    };
    try {
      await this.#consumer.connect();
      if (!this.#isClosed) await this.#consumer.subscribe({ topics: [...topics], fromBeginning: true });
      if (!this.#isClosed) await this.#consumer.run(config);
      // If the group cannot be joined, `run` does not reject: kafkajs reports a crash event.
      if (this.#crash !== null) throw this.#crash;
      // kafkajs cannot end a consumer that is connecting: the consumer would join the group after `close`.
      if (this.#isClosed) await this.close();
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  seek(topic: string, partition: number, offset: number): void {
    this.#consumer.seek({ topic, partition, offset: String(offset) });
  }

  pause(topic: string, partitions: readonly number[]): void {
    this.#consumer.pause([{ topic, partitions: [...partitions] }]);
  }

  resume(topic: string, partitions: readonly number[]): void {
    this.#consumer.resume([{ topic, partitions: [...partitions] }]);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await briefly(this.#consumer.disconnect());
  }
}

function configOf({ group, fetchWaitMs, fetchBytes, sessionTimeoutMs, declined }: ConsumerSettings): ConsumerConfig {
  return {
    groupId: group,
    readUncommitted: false,
    maxWaitTimeInMs: fetchWaitMs,
    allowAutoTopicCreation: false,
    retry: { restartOnFailure: () => Promise.resolve(false) },
    ...(fetchBytes === undefined ? {} : { maxBytesPerPartition: fetchBytes }),
    ...(sessionTimeoutMs === undefined ? {} : sessionOf(sessionTimeoutMs)),
    ...(declined === undefined ? {} : { partitionAssigners: assignersOf(declined) }),
  };
}

function sessionOf(sessionTimeoutMs: number) {
  return {
    sessionTimeout: sessionTimeoutMs,
    heartbeatInterval: Math.max(500, Math.floor(sessionTimeoutMs / 6)),
    rebalanceTimeout: 2 * sessionTimeoutMs,
  };
}

function batchOf(batch: Batch): FetchedBatch {
  const { topic, partition, highWatermark } = batch;
  const records = batch.messages.map(({ offset, key, value, headers = {} }) => ({
    offset: Number(offset),
    key,
    value,
    headers,
  }));
  const next = Number(batch.lastOffset()) + 1;
  return { topic, partition, records, from: fetchedOffset(batch), next, high: Number(highWatermark) };
}

/** The property exists in kafkajs 2.2.4, but not in its types. */
function fetchedOffset(batch: Batch): number {
  const { fetchedOffset: asked } = batch as Batch & { readonly fetchedOffset?: unknown };
  return Number(asked ?? batch.firstOffset());
}

function progressOf(payload: EachBatchPayload): BatchProgress {
  return {
    isStale: () => payload.isStale() || !payload.isRunning(),
    resolve: (offset) => payload.resolveOffset(String(offset)),
    heartbeat: () => payload.heartbeat(),
    commit: () => payload.commitOffsetsIfNecessary(payload.uncommittedOffsets()),
  };
}
