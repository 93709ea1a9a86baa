import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { connectTo } from '../../../kafka/client.ts';

/** A dead letter as it stands in the topic. */
export type Letter = { readonly value: Buffer; readonly headers: Readonly<Record<string, string>> };

/** All that are there within a moment. */
export async function lettersOf(brokers: readonly string[], topic: string): Promise<Letter[]> {
  const kafka = connectTo({ brokers, clientId: 'test' });
  const consumer = kafka.consumer({ groupId: randomUUID(), maxWaitTimeInMs: 100 });
  const found: Letter[] = [];
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await consumer.run({
    eachMessage: ({ message }) => {
      const headers = Object.entries(message.headers ?? {}).map(([name, value]) => [name, String(value)] as const);
      found.push({ value: message.value ?? Buffer.alloc(0), headers: Object.fromEntries(headers) });
      return Promise.resolve();
    },
  });
  await wait(1500);
  await consumer.disconnect();
  return found;
}
