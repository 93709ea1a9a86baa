import { randomUUID } from 'node:crypto';
import type { Kafka, KafkaMessage } from 'kafkajs';
import { Fault } from '../events/fault.ts';
import { abandon } from './client.ts';
import { kafkaFault } from './faults.ts';

export type RecordPosition = { readonly topic: string; readonly partition: number; readonly offset: number };

const READ_MS = 20_000;

/** The first record of a topic's partition from an offset on that it holds. @throws Fault KAFKA_…. */
export async function recordAt(kafka: Kafka, place: RecordPosition): Promise<KafkaMessage> {
  const { topic, partition, offset } = place;
  const consumer = kafka.consumer({
    groupId: `${topic}.look.${randomUUID()}`,
    maxWaitTimeInMs: 100,
    allowAutoTopicCreation: false,
    retry: { restartOnFailure: () => Promise.resolve(false) },
  });
  const found = Promise.withResolvers<KafkaMessage>();
  const timer = setTimeout(() => found.reject(unread(place)), READ_MS);
  consumer.on(consumer.events.CRASH, ({ payload: { error } }) => found.reject(error));
  // Before the first fetch: only this one is asked for.
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    const others = (payload.memberAssignment[topic] ?? []).filter((other) => other !== partition);
    consumer.pause([{ topic, partitions: others }]);
    consumer.seek({ topic, partition, offset: String(offset) });
  });
  try {
    await consumer.connect();
    await consumer.subscribe({ topics: [topic], fromBeginning: true });
    await consumer.run({
      autoCommit: false,
      eachBatch: ({ batch }) => {
        const [first] = batch.messages;
        if (batch.partition === partition && first !== undefined) found.resolve(first);
        return Promise.resolve();
      },
    });
    return await found.promise;
  } catch (error) {
    throw kafkaFault(error);
  } finally {
    clearTimeout(timer);
    await abandon(consumer);
  }
}

function unread({ topic, partition, offset }: RecordPosition): Fault {
  const remedy = 'Check that the partition has a leader, the ACLs and the network; run it again.';
  return new Fault('KAFKA_FAILED', `record ${offset} of ${topic}/${partition} could not be read in time`, remedy);
}
