import { kafkaFault } from './faults.ts';
import { KafkajsAdmin } from './kafkajs-admin.ts';
import { kafkajsTo } from './kafkajs-connection.ts';
import { KafkajsConsumer } from './kafkajs-consumer.ts';
import { KafkajsProducer, KafkajsTransactions } from './kafkajs-producers.ts';
import type { BrokerOptions, KafkaLog } from './options.ts';
import type { KafkaAdmin, KafkaClient } from './port.ts';

/** Makes a client for a cluster. Nothing is connected before the first use. */
export function connectTo(options: BrokerOptions, log: KafkaLog = () => {}): KafkaClient {
  const kafka = kafkajsTo(options, log);
  return {
    admin: () => new KafkajsAdmin(kafka),
    producer: () => new KafkajsProducer(kafka),
    transactionalProducer: (transactions) => new KafkajsTransactions(kafka, transactions),
    consumer: (settings, events) => new KafkajsConsumer(kafka, settings, events),
  };
}

/** Runs `work` with an administrator's connection and closes the connection. @throws Fault KAFKA_…. */
export async function administer<T>(
  kafka: Pick<KafkaClient, 'admin'>,
  work: (admin: KafkaAdmin) => Promise<T>,
): Promise<T> {
  const admin = kafka.admin();
  try {
    await admin.connect();
    return await work(admin);
  } catch (error) {
    throw kafkaFault(error);
  } finally {
    await admin.close();
  }
}
