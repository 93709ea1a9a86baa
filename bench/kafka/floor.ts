import type { Kafka, Message } from 'kafkajs';
import { Samples, perSecond } from '../measure.ts';

/** What the client alone does: consume, produce, commit, one transaction a batch, one partition. Nothing is decided or kept. */

export type Floor = { readonly recordsPerSecond: number; readonly transactionMs: Samples };

/**
 * @param valueOf what is produced for a record that was consumed.
 * @param batch records of one transaction.
 */
export async function consumeProduceCommit(
  kafka: Kafka,
  topics: { readonly from: string; readonly to: string },
  { count, batch, valueOf }: { count: number; batch: number; valueOf: (value: Buffer | null) => Message['value'] },
): Promise<Floor> {
  const group = `${topics.to}-${crypto.randomUUID()}`;
  const producer = kafka.producer({ transactionalId: group, idempotent: true, maxInFlightRequests: 1 });
  const consumer = kafka.consumer({ groupId: group, maxWaitTimeInMs: 100, maxBytesPerPartition: 4 * 1024 * 1024 });
  await Promise.all([producer.connect(), consumer.connect()]);
  await consumer.subscribe({ topic: topics.from, fromBeginning: true });
  const transactionMs = new Samples();
  let done = 0;
  let began = 0;
  const ms = await new Promise<number>((resolve, reject) => {
    consumer
      .run({
        autoCommit: false,
        eachBatchAutoResolve: false,
        eachBatch: async (payload) => {
          const { messages, topic, partition } = payload.batch;
          if (began === 0) began = performance.now();
          for (let start = 0; start < messages.length; start += batch) {
            const slice = messages.slice(start, start + batch);
            const last = slice.at(-1);
            if (last === undefined) continue;
            const startedAt = performance.now();
            const transaction = await producer.transaction();
            const out = slice.map(({ key, value }) => ({ partition: 0, key, value: valueOf(value) }));
            await transaction.send({ topic: topics.to, messages: out, acks: -1 });
            const offset = String(Number(last.offset) + 1);
            const offsets = { consumerGroupId: group, topics: [{ topic, partitions: [{ partition, offset }] }] };
            await transaction.sendOffsets(offsets);
            await transaction.commit();
            transactionMs.add(performance.now() - startedAt);
            payload.resolveOffset(last.offset);
            done += slice.length;
          }
          await payload.heartbeat();
          if (done >= count) resolve(performance.now() - began);
        },
      })
      .catch(reject);
  });
  await consumer.disconnect();
  await producer.disconnect();
  return { recordsPerSecond: perSecond(done, ms), transactionMs };
}
