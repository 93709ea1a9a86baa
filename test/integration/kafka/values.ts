import { randomUUID } from 'node:crypto';
import { rawClient, withRawAdmin } from './raw-client.ts';

/** A record of a topic, as a consumer of another system reads it. */
export type Value = {
  readonly partition: number;
  readonly key: string | null;
  readonly value: string;
  readonly headers: Readonly<Record<string, string>>;
};

export async function valuesOf(brokers: readonly string[], topic: string): Promise<Value[]> {
  const kafka = rawClient(brokers, 'reader');
  const ends = await withRawAdmin(brokers, (admin) => admin.fetchTopicOffsets(topic));
  const open = new Map(ends.filter(({ high }) => high !== '0').map(({ partition, high }) => [partition, Number(high)]));
  const found: Value[] = [];
  if (open.size === 0) return found;
  const consumer = kafka.consumer({ groupId: `reader.${randomUUID()}`, maxWaitTimeInMs: 100 });
  await consumer.connect();
  try {
    await consumer.subscribe({ topic, fromBeginning: true });
    await new Promise<void>((resolve, reject) => {
      // kafkajs restarts the consumer by itself if the brokers have just started.
      consumer.on(consumer.events.CRASH, ({ payload }) => (payload.restart ? undefined : reject(payload.error)));
      consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload: { partition, lastOffset } }) => {
        if (Number(lastOffset) + 1 >= (open.get(partition) ?? 0)) open.delete(partition);
        if (open.size === 0) resolve();
      });
      const eachMessage = ({ partition, message }: Message): Promise<void> => {
        const headers = Object.entries(message.headers ?? {}).map(([name, value]) => [name, String(value)]);
        const key = message.key === null ? null : String(message.key);
        found.push({ partition, key, value: String(message.value), headers: Object.fromEntries(headers) as Headers });
        return Promise.resolve();
      };
      consumer.run({ autoCommit: false, eachMessage }).catch(reject);
    });
  } finally {
    await consumer.disconnect();
  }
  return found;
}

type Headers = Value['headers'];
type Message = {
  readonly partition: number;
  readonly message: {
    readonly key: Buffer | null;
    readonly value: Buffer | null;
    readonly headers?: object;
  };
};
