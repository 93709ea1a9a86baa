import { setTimeout as wait } from 'node:timers/promises';
import { Fault } from '../events/fault.ts';
import { within } from './bounded.ts';
import { kafkaFault, unacknowledged } from './faults.ts';
import type { KafkaClient, KafkaProducer, NewRecord } from './port.ts';
import { splitBySize } from './split-by-size.ts';
import { untilTopicsKnown } from './topic-metadata.ts';

/**
 * Sends records. A record counts as sent once every replica in sync has it. The records that wait for one partition go in one
 * send; a send never spans partitions, because kafkajs then loses records without an error if a leader dies.
 *
 * After a failed send the state of the idempotent producer is unknown, so the next send uses a new producer.
 */
export class RecordProducer {
  readonly #kafka: Pick<KafkaClient, 'producer'>;
  #producer: Promise<KafkaProducer> | null = null;
  readonly #lanes = new Map<string, Lane>();
  #isClosed = false;

  constructor(kafka: Pick<KafkaClient, 'producer'>) {
    this.#kafka = kafka;
  }

  /**
   * Sends the records as one batch with consecutive offsets; `splitForSending` makes batches that fit.
   * @returns the offset of the first record; null if the broker did not report it.
   * @throws Fault KAFKA_…: the records may have been written nevertheless.
   */
  send(topic: string, partition: number, records: readonly NewRecord[]): Promise<number | null> {
    if (this.#isClosed)
      return Promise.reject(new Fault('STOPPING', 'the producer is closing', 'Send the records later.'));
    const name = `${topic}/${partition}`;
    const lane = this.#lanes.get(name) ?? { topic, partition, queue: [], isBusy: false };
    this.#lanes.set(name, lane);
    return new Promise((resolve, reject) => {
      lane.queue.push({ records, bytes: bytesOf(records), resolve, reject });
      if (!lane.isBusy) void this.#sendQueue(lane);
    });
  }

  /** Resolves after the pending sends have ended. */
  async close(): Promise<void> {
    this.#isClosed = true;
    while ([...this.#lanes.values()].some(({ isBusy }) => isBusy)) await wait(CLOSE_LOOK_MS);
    const producer = await this.#producer?.catch(() => null);
    await producer?.close();
  }

  async #sendQueue(lane: Lane): Promise<void> {
    lane.isBusy = true;
    // Records that are sent in the same turn of the event loop share one request.
    await Promise.resolve();
    while (lane.queue.length > 0) {
      const group = nextGroup(lane.queue);
      try {
        const first = await untilTopicsKnown(() => this.#sendGroup(lane, group));
        let offset = first;
        for (const { records, resolve } of group) {
          resolve(offset);
          if (offset !== null) offset += records.length;
        }
      } catch (error) {
        const fault = kafkaFault(error);
        // Sends queued behind an unacknowledged send would wait in vain for as long, so they fail at once.
        const queued = fault.code === 'KAFKA_UNACKNOWLEDGED' ? lane.queue.splice(0) : [];
        for (const { reject } of [...group, ...queued]) reject(fault);
      }
    }
    lane.isBusy = false;
  }

  async #sendGroup({ topic, partition }: Lane, group: readonly PendingSend[]): Promise<number | null> {
    this.#producer ??= this.#connect();
    const used = this.#producer;
    try {
      const records = group.flatMap((each) => each.records);
      const sent = used.then((producer) => producer.send(topic, partition, records));
      return await within(SEND_MS, sent, () => unacknowledged(topic, SEND_MS));
    } catch (error) {
      if (this.#producer === used) this.#producer = null;
      void used.then((producer) => producer.close()).catch(() => {});
      throw error;
    }
  }

  async #connect(): Promise<KafkaProducer> {
    const producer = this.#kafka.producer();
    await producer.connect();
    return producer;
  }
}

/** A send without an acknowledgement fails after this time; kafkajs repeats a timed-out request once within it. */
const SEND_MS = 20_000;
const CLOSE_LOOK_MS = 5;

type PendingSend = {
  readonly records: readonly NewRecord[];
  readonly bytes: number;
  readonly resolve: (offset: number | null) => void;
  readonly reject: (fault: Fault) => void;
};
/** The pending sends of one partition. */
type Lane = { readonly topic: string; readonly partition: number; readonly queue: PendingSend[]; isBusy: boolean };

/** The records of one send form one batch; max.message.bytes allows slightly more than this by default. */
const SEND_BYTES_MAX = 900_000;
/** The largest size of all fields of a record except key, value and headers, in bytes. */
const RECORD_BYTES = 100;

/** Splits records into batches that fit into one send each. A record above the limit is a batch of its own. */
export function splitForSending<R extends NewRecord>(records: readonly R[]): R[][] {
  return splitBySize(records, SEND_BYTES_MAX, bytesOfRecord);
}

/** Returns whether a record is so large that `splitForSending` gives it a batch of its own. */
export const isSentAlone = (record: NewRecord): boolean => bytesOfRecord(record) > SEND_BYTES_MAX;

function nextGroup(queue: PendingSend[]): PendingSend[] {
  let bytes = 0;
  let count = 0;
  for (const pending of queue) {
    bytes += pending.bytes;
    if (count > 0 && bytes > SEND_BYTES_MAX) break;
    count += 1;
  }
  return queue.splice(0, count);
}

function bytesOf(records: readonly NewRecord[]): number {
  return records.reduce((sum, record) => sum + bytesOfRecord(record), 0);
}

/**
 * Returns the largest encoded size of a record. The loop makes no intermediate lists, because it runs for every record.
 */
function bytesOfRecord({ key, value, headers }: NewRecord): number {
  let bytes = RECORD_BYTES + lengthOf(key) + lengthOf(value);
  for (const name in headers) {
    const content = headers[name];
    if (!Array.isArray(content)) bytes += lengthOf(name) + lengthOf(content);
    else for (const each of content) bytes += lengthOf(name) + lengthOf(each);
  }
  return bytes;
}

/** Returns the length in bytes of UTF-8, not in characters. */
function lengthOf(part: Buffer | string | null | undefined): number {
  return part === null || part === undefined ? 0 : Buffer.byteLength(part);
}
