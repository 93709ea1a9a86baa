import type { Message, Producer, RecordMetadata, Transaction } from 'kafkajs';
import { briefly } from './bounded.ts';
import { ZSTD } from './codecs.ts';
import type { Kafka } from './kafkajs.ts';
import type {
  GroupOffset,
  KafkaProducer,
  KafkaTransaction,
  NewRecord,
  TransactionalProducer,
  TransactionOptions,
} from './port.ts';

/** Sends and transactions with kafkajs. */

const ALL_IN_SYNC = -1;

export class KafkajsProducer implements KafkaProducer {
  readonly #producer: Producer;

  constructor(kafka: Kafka) {
    this.#producer = kafka.producer({
      idempotent: true,
      maxInFlightRequests: 5,
      allowAutoTopicCreation: false,
      // Each record names its partition; the default partitioner of kafkajs would hash the key nevertheless.
      createPartitioner:
        () =>
        ({ message: { partition = 0 } }) =>
          partition,
    });
  }

  connect(): Promise<void> {
    return this.#producer.connect();
  }

  close(): Promise<void> {
    return briefly(this.#producer.disconnect());
  }

  async send(topic: string, partition: number, records: readonly NewRecord[]): Promise<number | null> {
    const messages = records.map((record): Message => ({ ...record, partition }));
    return firstOffset(await this.#producer.send({ topic, messages, acks: ALL_IN_SYNC }));
  }
}

export class KafkajsTransactions implements TransactionalProducer {
  readonly #producer: Producer;
  readonly #topic: string;

  constructor(kafka: Kafka, { id, topic, partition, timeoutMs }: TransactionOptions) {
    this.#topic = topic;
    this.#producer = kafka.producer({
      transactionalId: id,
      idempotent: true,
      maxInFlightRequests: 1,
      transactionTimeout: timeoutMs,
      allowAutoTopicCreation: false,
      createPartitioner: () => () => partition,
    });
  }

  connect(): Promise<void> {
    return this.#producer.connect();
  }

  close(): Promise<void> {
    return briefly(this.#producer.disconnect());
  }

  async begin(): Promise<KafkaTransaction> {
    const transaction = await this.#producer.transaction();
    return {
      send: (records, { compressed }) => this.#send(transaction, records, compressed),
      sendOffset: (offset) => sendOffset(transaction, offset),
      commit: () => transaction.commit(),
    };
  }

  async #send(transaction: Transaction, records: readonly NewRecord[], isCompressed: boolean): Promise<number | null> {
    const compression = isCompressed ? { compression: ZSTD } : {};
    const messages: Message[] = [...records];
    return firstOffset(await transaction.send({ topic: this.#topic, messages, acks: ALL_IN_SYNC, ...compression }));
  }
}

function sendOffset(transaction: Transaction, { group, topic, partition, next }: GroupOffset): Promise<void> {
  const topics = [{ topic, partitions: [{ partition, offset: String(next) }] }];
  return transaction.sendOffsets({ consumerGroupId: group, topics });
}

function firstOffset([answer]: readonly RecordMetadata[]): number | null {
  const first = Number(answer?.baseOffset ?? -1);
  return first >= 0 ? first : null;
}
