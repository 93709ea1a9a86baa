import type { Admin, Kafka } from '../../../kafka/kafkajs.ts';
import { kafkajsTo } from '../../../kafka/kafkajs-connection.ts';

/** A kafkajs client without Landfall's adapters, with which a test changes the brokers from outside. */
export const rawClient = (brokers: readonly string[], clientId = 'test'): Kafka => kafkajsTo({ brokers, clientId });

/** Runs `work` with a connected administrator and disconnects it. */
export async function withRawAdmin<T>(brokers: readonly string[], work: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = rawClient(brokers).admin();
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.disconnect();
  }
}
