import { randomUUID } from 'node:crypto';
import { Fault } from '../events/fault.ts';
import { kafkaFault } from './faults.ts';
import type { ConsumerEvents, FetchedRecord, KafkaClient } from './port.ts';
import { untilTopicsKnown } from './topic-metadata.ts';

export type RecordPosition = { readonly topic: string; readonly partition: number; readonly offset: number };

const READ_MS = 20_000;

/**
 * Returns the first record at or after an offset of a partition, within the range of the partition. @throws Fault
 * KAFKA_….
 */
export function recordAt(kafka: Pick<KafkaClient, 'consumer'>, position: RecordPosition): Promise<FetchedRecord> {
  return untilTopicsKnown(() => readRecord(kafka, position));
}

async function readRecord(kafka: Pick<KafkaClient, 'consumer'>, position: RecordPosition): Promise<FetchedRecord> {
  const { topic, partition, offset } = position;
  const found = Promise.withResolvers<FetchedRecord>();
  const timer = setTimeout(() => found.reject(unread(position)), READ_MS);
  const events: ConsumerEvents = {
    assigned: (assignment) => {
      const unwanted = (assignment.get(topic) ?? []).filter((each) => each !== partition);
      consumer.pause(topic, unwanted);
      consumer.seek(topic, partition, offset);
    },
    batch: ({ partition: from, records: [first] }) => {
      if (from === partition && first !== undefined) found.resolve(first);
      return Promise.resolve();
    },
    crashed: (error) => found.reject(error),
    rebalancing: () => {},
    heartbeat: () => {},
    fetched: () => {},
    passed: () => {},
  };
  const consumer = kafka.consumer({ group: `${topic}.look.${randomUUID()}`, fetchWaitMs: 100 }, events);
  try {
    await Promise.race([consumer.start([topic]), found.promise]);
    return await found.promise;
  } catch (error) {
    throw kafkaFault(error);
  } finally {
    clearTimeout(timer);
    await consumer.close();
  }
}

function unread({ topic, partition, offset }: RecordPosition): Fault {
  const message = `record ${offset} of ${topic}/${partition} could not be read within ${READ_MS / 1000} s`;
  const remedy = 'Check that the partition has a leader, the ACLs and the network; then run the command again.';
  return new Fault('KAFKA_FAILED', message, remedy);
}
