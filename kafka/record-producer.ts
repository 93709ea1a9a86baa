import type { Kafka, Message, Producer } from 'kafkajs';
import { Fault } from '../events/fault.ts';
import { abandon, byPartition, within } from './client.ts';
import { kafkaFault, unacknowledged } from './faults.ts';
import { splitBySize } from './split-by-size.ts';

/**
 * Sends records, each acknowledged by every replica in sync before it counts as sent. What waits for one partition goes in one
 * send, and one send goes to one partition, one after the other: a send over several partitions loses records without a word
 * when a leader dies.
 *
 * After a failed send its outcome is unknown, and so is the next number that the broker expects of an idempotent producer: a
 * new one takes its place.
 */
export class RecordProducer {
  readonly #kafka: Kafka;
  #producer: Promise<Producer> | null = null;
  readonly #lanes = new Map<string, Lane>();
  #closed = false;

  constructor(kafka: Kafka) {
    this.#kafka = kafka;
  }

  /**
   * They go as one batch, so that their offsets follow each other; where that does not matter, `splitForSending` makes them fit.
   * @returns the offset of the first record; null where the broker did not say.
   * @throws Fault KAFKA_…: they may be in the topic nevertheless.
   */
  send(topic: string, partition: number, messages: readonly Message[]): Promise<number | null> {
    if (this.#closed) return Promise.reject(new Fault('STOPPING', 'it is being closed', 'Send it again later.'));
    const name = `${topic}/${partition}`;
    const lane = this.#lanes.get(name) ?? { topic, partition, queue: [], isBusy: false };
    this.#lanes.set(name, lane);
    return new Promise((resolve, reject) => {
      lane.queue.push({ messages, bytes: bytesOf(messages), resolve, reject });
      if (!lane.isBusy) void this.#pump(lane);
    });
  }

  /** What was begun is ended first. */
  async close(): Promise<void> {
    this.#closed = true;
    while ([...this.#lanes.values()].some(({ isBusy }) => isBusy)) await new Promise((wake) => setTimeout(wake, 5));
    const producer = await this.#producer?.catch(() => null);
    if (producer !== null && producer !== undefined) await abandon(producer);
  }

  async #pump(lane: Lane): Promise<void> {
    lane.isBusy = true;
    // What is sent in the same turn goes together.
    await Promise.resolve();
    while (lane.queue.length > 0) {
      const group = nextGroup(lane.queue);
      try {
        const first = await this.#sendGroup(lane, group);
        let offset = first;
        for (const { messages, resolve } of group) {
          resolve(offset);
          if (offset !== null) offset += messages.length;
        }
      } catch (error) {
        const fault = kafkaFault(error);
        // What waits behind it would wait as long, in vain.
        const others = fault.code === 'KAFKA_UNACKNOWLEDGED' ? lane.queue.splice(0) : [];
        for (const { reject } of [...group, ...others]) reject(fault);
      }
    }
    lane.isBusy = false;
  }

  async #sendGroup({ topic, partition }: Lane, group: readonly Waiting[]): Promise<number | null> {
    this.#producer ??= this.#connect();
    const used = this.#producer;
    try {
      const messages = group.flatMap((each) => each.messages.map((message) => ({ ...message, partition })));
      const sent = used.then((producer) => producer.send({ topic, messages, acks: -1 }));
      const [answer] = await within(SEND_MS, sent, () => unacknowledged(topic, SEND_MS));
      const offset = Number(answer?.baseOffset ?? -1);
      return offset >= 0 ? offset : null;
    } catch (error) {
      if (this.#producer === used) this.#producer = null;
      void used.then(abandon).catch(() => {});
      throw error;
    }
  }

  async #connect(): Promise<Producer> {
    const producer = this.#kafka.producer({
      idempotent: true,
      maxInFlightRequests: 5,
      allowAutoTopicCreation: false,
      createPartitioner: byPartition,
    });
    await producer.connect();
    return producer;
  }
}

/** Whoever sends waits no longer than this for an acknowledgement: a request that ran out is tried once more. */
const SEND_MS = 20_000;

type Waiting = {
  readonly messages: readonly Message[];
  readonly bytes: number;
  readonly resolve: (offset: number | null) => void;
  readonly reject: (fault: Fault) => void;
};
type Lane = { readonly topic: string; readonly partition: number; readonly queue: Waiting[]; isBusy: boolean };

/** Records of one send are one batch, which the topic's max.message.bytes limits: by default to a little more than this. */
const SEND_BYTES_MAX = 900_000;
/** Offsets, lengths and times of a record. */
const RECORD_BYTES = 100;

/** Messages in parts that are small enough for one send each; one that is larger alone is a part of its own. */
export function splitForSending(messages: readonly Message[]): Message[][] {
  return splitBySize(messages, SEND_BYTES_MAX, bytesOfMessage);
}

/** Whether it is sent with no other: what the topic does not take of it, it does not take at all. */
export const isSentAlone = (message: Message): boolean => bytesOfMessage(message) > SEND_BYTES_MAX;

function nextGroup(queue: Waiting[]): Waiting[] {
  let bytes = 0;
  let count = 0;
  for (const waiting of queue) {
    bytes += waiting.bytes;
    if (count > 0 && bytes > SEND_BYTES_MAX) break;
    count += 1;
  }
  return queue.splice(0, count);
}

function bytesOf(messages: readonly Message[]): number {
  return messages.reduce((sum, message) => sum + bytesOfMessage(message), 0);
}

/** Counted for every record, so without a list of its parts. */
function bytesOfMessage({ key, value, headers }: Message): number {
  let bytes = RECORD_BYTES + lengthOf(key) + lengthOf(value);
  for (const name in headers) {
    const content = headers[name];
    if (!Array.isArray(content)) bytes += lengthOf(name) + lengthOf(content);
    else for (const each of content) bytes += lengthOf(name) + lengthOf(each);
  }
  return bytes;
}

/** In bytes: a character may take three. */
function lengthOf(part: Buffer | string | null | undefined): number {
  return part === null || part === undefined ? 0 : Buffer.byteLength(part);
}
