import { Kafka, logLevel, type Message } from '../../kafka/kafkajs.ts';
import { partitionOf } from '../../kafka/partitioner.ts';
import { type Attempt, failed, newAttempt, quickCourse, started } from '../workload.ts';

/** Generates the workload as records of the inputs topic. */

export const TRANSITIONS_PER_QUICK_ATTEMPT = 6;
const ATTEMPTS_AT_ONCE = 500;

export function clientOf(brokers: readonly string[]): Kafka {
  const retry = { initialRetryTime: 4, maxRetryTime: 250, factor: 0.2, multiplier: 1.6, retries: 14 };
  return new Kafka({ clientId: 'bench', brokers: [...brokers], logLevel: logLevel.NOTHING, retry });
}

/**
 * Generates complete attempts with `count` inputs in total, spread over the partitions, in an order that settles every attempt.
 */
export function* settling(count: number, partitions: number): Generator<[partition: number, Message[]]> {
  const group = ATTEMPTS_AT_ONCE * partitions;
  for (let made = 0; made < count; made += group * TRANSITIONS_PER_QUICK_ATTEMPT) {
    const attempts = Array.from({ length: group }, newAttempt);
    const courses = attempts.map(quickCourse);
    for (let step = 0; step < TRANSITIONS_PER_QUICK_ATTEMPT; step += 1) {
      yield* byPartition(attempts, (index) => courses[index]?.[step] ?? '', partitions);
    }
  }
}

/** Generates attempts whose call has failed and whose hosts have not answered yet. */
export function* opening(count: number): Generator<[partition: number, Message[]]> {
  for (let made = 0; made < count; made += ATTEMPTS_AT_ONCE) {
    const attempts = Array.from({ length: ATTEMPTS_AT_ONCE }, newAttempt);
    for (const step of [started, failed]) {
      yield* byPartition(attempts, (index) => step(attempts[index] ?? newAttempt()), 1);
    }
  }
}

function* byPartition(
  attempts: readonly Attempt[],
  valueOf: (index: number) => string,
  partitions: number,
): Generator<[number, Message[]]> {
  const parcels = new Map<number, Message[]>();
  for (const [index, { vm }] of attempts.entries()) {
    const partition = partitionOf(vm, partitions);
    const parcel = parcels.get(partition) ?? [];
    parcel.push({ partition, key: vm, value: valueOf(index) });
    parcels.set(partition, parcel);
  }
  yield* parcels;
}

/** @returns the number of sent records. */
export async function fill(kafka: Kafka, topic: string, parcels: Iterable<[number, Message[]]>): Promise<number> {
  const producer = kafka.producer({ idempotent: true });
  await producer.connect();
  let sent = 0;
  for (const [, messages] of parcels) {
    await producer.send({ topic, messages, acks: -1 });
    sent += messages.length;
  }
  await producer.disconnect();
  return sent;
}

export async function makeTopic(kafka: Kafka, topic: string, numPartitions = 1): Promise<void> {
  const admin = kafka.admin();
  await admin.connect();
  const configEntries = [{ name: 'max.message.bytes', value: String(32 * 1024 * 1024) }];
  await admin.createTopics({ topics: [{ topic, numPartitions, configEntries }], waitForLeaders: true });
  await admin.disconnect();
}
