import { setTimeout as wait } from 'node:timers/promises';
import { within } from './bounded.ts';
import { fencedBy, isFenced, isTransient, kafkaFault, notCommitted, outcomeUnknown, unacknowledged } from './faults.ts';
import type { GroupOffset, KafkaClient, KafkaTransaction, NewRecord, TransactionalProducer } from './port.ts';
import { splitBySize } from './split-by-size.ts';
import { untilTopicsKnown } from './topic-metadata.ts';

/**
 * The transactions of the owner of one partition. The transactional id belongs to the partition: the first transaction of a
 * newer owner fences the older owner and ends its open transaction.
 *
 * All sends of a transaction go to one partition, one after the other: kafkajs loses and repeats records without an error if a
 * send spans several partitions and a leader dies. A failed commit or abort is not repeated: its outcome is unknown.
 */

/** A stalled owner delays readers at most this long. */
export const TRANSACTION_TIMEOUT_MS = 20_000;

/** After this time the brokers have aborted the transaction. */
const COMMIT_MS = TRANSACTION_TIMEOUT_MS + 2000;

const RETRY_MS = 10;

/** The smallest send that is compressed: for smaller sends compression costs more time than it saves. */
const COMPRESSED_FROM_BYTES = 32 * 1024;

/** The records of one send form one batch, which client, broker and readers hold in memory as a whole. */
const SEND_BYTES_MAX = 4 * 1024 * 1024;

export class Transactor {
  readonly #producer: TransactionalProducer;
  readonly #topic: string;

  private constructor(producer: TransactionalProducer, topic: string) {
    this.#producer = producer;
    this.#topic = topic;
  }

  /**
   * Fences the older owner and writes `claim` as the first record of the new owner.
   * @param id the transactional id of the partition.
   * @throws Fault KAFKA_…, LEDGER_….
   */
  static open(
    kafka: Pick<KafkaClient, 'transactionalProducer'>,
    id: string,
    target: { readonly topic: string; readonly partition: number },
    claim: NewRecord,
  ): Promise<Transactor> {
    return untilTopicsKnown(() => Transactor.#open(kafka, id, target, claim));
  }

  static async #open(
    kafka: Pick<KafkaClient, 'transactionalProducer'>,
    id: string,
    target: { readonly topic: string; readonly partition: number },
    claim: NewRecord,
  ): Promise<Transactor> {
    const producer = kafka.transactionalProducer({ id, ...target, timeoutMs: TRANSACTION_TIMEOUT_MS });
    const transactor = new Transactor(producer, target.topic);
    try {
      await within(COMMIT_MS, producer.connect(), () => unacknowledged(target.topic, COMMIT_MS));
      await transactor.commit([claim], null);
      return transactor;
    } catch (error) {
      await producer.close();
      throw kafkaFault(error);
    }
  }

  /**
   * Commits the records and the offset of the group in one transaction.
   * @returns the offset of the last record; null if there is none, or the broker did not report it.
   * @throws Fault LEDGER_FENCED, LEDGER_FAILED, LEDGER_OUTCOME_UNKNOWN; after a fault the transactor must be closed.
   */
  commit(records: readonly NewRecord[], offset: GroupOffset | null): Promise<number | null> {
    const late = () => outcomeUnknown(unacknowledged(this.#topic, COMMIT_MS));
    return within(COMMIT_MS, this.#commit(records, offset), late);
  }

  async #commit(records: readonly NewRecord[], offset: GroupOffset | null): Promise<number | null> {
    let transaction: KafkaTransaction;
    let last: number | null = null;
    try {
      transaction = await this.#producer.begin();
      for (const part of splitBySize(records, SEND_BYTES_MAX, lengthOf)) last = await send(transaction, part);
      if (offset !== null) await sendOffset(transaction, offset);
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
    await this.#producer.close();
  }
}

/** @returns the offset of the last record. */
async function send(transaction: KafkaTransaction, records: readonly NewRecord[]): Promise<number | null> {
  const first = await transaction.send(records, { compressed: bytesOf(records) >= COMPRESSED_FROM_BYTES });
  return first === null ? null : first + records.length - 1;
}

/** Repeats the request on transient errors, because kafkajs does not: the previous transaction may still be ending. */
async function sendOffset(transaction: KafkaTransaction, offset: GroupOffset): Promise<void> {
  for (const deadline = performance.now() + COMMIT_MS; ; await wait(RETRY_MS)) {
    try {
      return await transaction.sendOffset(offset);
    } catch (error) {
      if (!isTransient(error) || performance.now() > deadline) throw error;
    }
  }
}

const lengthOf = ({ value }: NewRecord): number => value?.length ?? 0;

function bytesOf(records: readonly NewRecord[]): number {
  return records.reduce((sum, record) => sum + lengthOf(record), 0);
}
