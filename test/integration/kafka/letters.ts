import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { rawClient } from './raw-client.ts';

/** The record of a dead letter. */
export type Letter = { readonly value: Buffer; readonly headers: Readonly<Record<string, string>> };

/** Returns the dead letters that the topic delivers within 1.5 s. */
export async function lettersOf(brokers: readonly string[], topic: string): Promise<Letter[]> {
  const kafka = rawClient(brokers);
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
