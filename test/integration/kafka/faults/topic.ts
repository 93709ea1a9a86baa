import { Kafka, logLevel } from '../../../../kafka/kafkajs.ts';
import { type LedgerRecord, recordOf } from '../../../../log/kafka/records.ts';

/** Returns the committed records of a ledger's topic, by partition, read by an independent consumer. */
export async function committedRecords(brokers: readonly string[], topic: string): Promise<LedgerRecord[][]> {
  const kafka = new Kafka({ clientId: 'checker', brokers: [...brokers], logLevel: logLevel.NOTHING });
  const admin = kafka.admin();
  await admin.connect();
  const ends = await admin.fetchTopicOffsets(topic);
  await admin.disconnect();
  const found: LedgerRecord[][] = ends.map(() => []);
  const open = new Map(ends.filter(({ high }) => high !== '0').map(({ partition, high }) => [partition, Number(high)]));
  if (open.size === 0) return found;
  const consumer = kafka.consumer({ groupId: `${topic}.checker.${crypto.randomUUID()}`, maxWaitTimeInMs: 100 });
  await consumer.connect();
  try {
    await consumer.subscribe({ topic, fromBeginning: true });
    await new Promise<void>((resolve, reject) => {
      consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error));
      // The last record of a partition may be a transaction marker, which is not delivered.
      consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload: { partition, lastOffset } }) => {
        if (Number(lastOffset) + 1 >= (open.get(partition) ?? 0)) open.delete(partition);
        if (open.size === 0) resolve();
      });
      consumer
        .run({
          autoCommit: false,
          eachBatch: ({ batch: { partition, messages } }) => {
            found[partition]?.push(
              ...messages.map((message) =>
                recordOf(partition, { value: message.value, headers: message.headers ?? {} }),
              ),
            );
            return Promise.resolve();
          },
        })
        .catch(reject);
    });
  } finally {
    await consumer.disconnect();
  }
  return found;
}
