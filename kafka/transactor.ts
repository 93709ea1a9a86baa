import type { Kafka, Message, Producer, Transaction } from 'kafkajs';
import { setTimeout as wait } from 'node:timers/promises';
import { abandon, byPartition, within } from './client.ts';
import { ZSTD } from './codecs.ts';
import { fencedBy, isFenced, isPassing, kafkaFault, notCommitted, outcomeUnknown, unacknowledged } from './faults.ts';
import { splitBySize } from './split-by-size.ts';

/**
 * The transactions of one partition's owner. Their transactional id is the partition's own, so the first transaction of a
 * newer owner fences the older one, and settles what it left open, before it returns.
 *
 * Each transaction makes its sends to one partition, one after the other: kafkajs loses and repeats records without a word
 * when a send spans several partitions and a leader dies. Neither commit nor abort is tried again: after a failed one nothing is known, and the
 * producer is of no more use.
 */

/** An owner that stalls holds readers back no longer than this. */
export const TRANSACTION_TIMEOUT_MS = 20_000;

/** Later than that the brokers have given it up. */
const COMMIT_MS = TRANSACTION_TIMEOUT_MS + 2000;

const PASSING_MS = 10;

/** Below that the way through the thread pool costs more than it saves. */
const COMPRESSED_FROM_BYTES = 32 * 1024;

/**
 * Records of one send are one batch, which is held whole by the client, the broker and every reader. One input may touch any
 * number of attempts, so what it causes goes in several sends.
 */
const SEND_BYTES_MAX = 4 * 1024 * 1024;

export type Offsets = {
  readonly group: string;
  readonly topic: string;
  readonly partition: number;
  readonly next: number;
};

export class Transactor {
  readonly #producer: Producer;
  readonly #topic: string;

  private constructor(producer: Producer, topic: string) {
    this.#producer = producer;
    this.#topic = topic;
  }

  /** Fences the older owner, and writes a first record behind all that it committed. @throws Fault KAFKA_…. */
  static async open(kafka: Kafka, id: string, topic: string, claim: Message): Promise<Transactor> {
    const producer = kafka.producer({
      transactionalId: id,
      idempotent: true,
      maxInFlightRequests: 1,
      transactionTimeout: TRANSACTION_TIMEOUT_MS,
      allowAutoTopicCreation: false,
      createPartitioner: byPartition,
    });
    const transactor = new Transactor(producer, topic);
    try {
      await within(COMMIT_MS, producer.connect(), () => unacknowledged(topic, COMMIT_MS));
      await transactor.commit([claim], null);
      return transactor;
    } catch (error) {
      await abandon(producer);
      throw kafkaFault(error);
    }
  }

  /**
   * @returns the offset of the last record; null where there was none, or the broker did not say.
   * @throws Fault LEDGER_FENCED, LEDGER_FAILED, LEDGER_OUTCOME_UNKNOWN; after any of them it is of no more use.
   */
  commit(messages: readonly Message[], offsets: Offsets | null): Promise<number | null> {
    const late = () => outcomeUnknown(unacknowledged(this.#topic, COMMIT_MS));
    return within(COMMIT_MS, this.#commit(messages, offsets), late);
  }

  async #commit(messages: readonly Message[], offsets: Offsets | null): Promise<number | null> {
    let transaction: Transaction;
    let last: number | null = null;
    try {
      transaction = await this.#producer.transaction();
      for (const part of splitBySize(messages, SEND_BYTES_MAX, lengthOf)) last = await this.#send(transaction, part);
      if (offsets !== null) await sendOffsets(transaction, offsets);
    } catch (error) {
      throw isFenced(error) ? fencedBy(error) : notCommitted(error);
    }
    try {
      await transaction.commit();
      return last;
    } catch (error) {
      throw isFenced(error) ? fencedBy(error) : outcomeUnknown(error);
    }
  }

  async close(): Promise<void> {
    await abandon(this.#producer);
  }

  async #send(transaction: Transaction, messages: readonly Message[]): Promise<number | null> {
    const [answer] = await transaction.send({
      topic: this.#topic,
      messages: [...messages],
      acks: -1,
      ...(bytesOf(messages) >= COMPRESSED_FROM_BYTES ? { compression: ZSTD } : {}),
    });
    const first = Number(answer?.baseOffset ?? -1);
    return first >= 0 ? first + messages.length - 1 : null;
  }
}

/** A send of kafkajs waits for the end of the transaction before, and for coordinators that move; this does not. */
async function sendOffsets(transaction: Transaction, offsets: Offsets): Promise<void> {
  for (const deadline = performance.now() + COMMIT_MS; ; await wait(PASSING_MS)) {
    try {
      return await transaction.sendOffsets(offsetsOf(offsets));
    } catch (error) {
      if (!isPassing(error) || performance.now() > deadline) throw error;
    }
  }
}

const lengthOf = ({ value }: Message): number => value?.length ?? 0;

function bytesOf(messages: readonly Message[]): number {
  return messages.reduce((sum, message) => sum + lengthOf(message), 0);
}

function offsetsOf({ group, topic, partition, next }: Offsets) {
  return { consumerGroupId: group, topics: [{ topic, partitions: [{ partition, offset: String(next) }] }] };
}
