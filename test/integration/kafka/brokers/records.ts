import { Kafka, logLevel, type SASLOptions } from '../../../../kafka/kafkajs.ts';

/** A minimal Kafka client for the tests of the brokers themselves. */

export type Access = {
  readonly brokers: readonly string[];
  readonly ssl?: { readonly ca: string };
  readonly sasl?: SASLOptions;
  readonly retries?: number;
};

export function clientOf({ brokers, ssl, sasl, retries = 200 }: Access): Kafka {
  return new Kafka({
    clientId: 'brokers-test',
    brokers: [...brokers],
    ...(ssl && { ssl }),
    ...(sasl && { sasl: { ...sasl } }), // A copy, because kafkajs modifies this object.
    logLevel: logLevel.NOTHING,
    connectionTimeout: 1000,
    requestTimeout: 3000,
    enforceRequestTimeout: true,
    retry: { initialRetryTime: 50, maxRetryTime: 500, retries },
  });
}

export async function createTopic(kafka: Kafka, topic: string, replicationFactor = 1): Promise<void> {
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic, numPartitions: 1, replicationFactor }], waitForLeaders: true });
  await admin.disconnect();
}

/** Sends values one after the other until it is stopped. Returns the acknowledged values. */
export function startSending(kafka: Kafka, topic: string): { acknowledged: string[]; stop(): Promise<void> } {
  const acknowledged: string[] = [];
  let isWanted = true;
  const sending = (async () => {
    const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
    await producer.connect();
    for (let n = 0; isWanted; n += 1) {
      await producer.send({ topic, acks: -1, messages: [{ partition: 0, value: String(n) }] });
      acknowledged.push(String(n));
    }
    await producer.disconnect();
  })();
  return {
    acknowledged,
    stop: () => {
      isWanted = false;
      return sending;
    },
  };
}

/** Returns all values of partition 0 up to its present end. */
export async function readAll(kafka: Kafka, topic: string): Promise<string[]> {
  const admin = kafka.admin();
  await admin.connect();
  const end = Number((await admin.fetchTopicOffsets(topic))[0]?.high ?? 0);
  await admin.disconnect();
  const consumer = kafka.consumer({ groupId: `${topic}-reader`, maxWaitTimeInMs: 100 });
  const values: string[] = [];
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await new Promise<void>((resolve, reject) => {
    if (end === 0) resolve();
    consumer
      .run({
        eachMessage: ({ message }) => {
          values.push(String(message.value));
          if (Number(message.offset) === end - 1) resolve();
          return Promise.resolve();
        },
      })
      .catch(reject);
  });
  await consumer.disconnect();
  return values;
}
