import { Kafka, logLevel } from 'kafkajs';
import { perSecond } from '../measure.ts';
import type { FloorRun, Measured } from './floor.ts';

/**
 * Measures the client alone on one partition: consume, produce and commit, one transaction per batch, without decisions or
 * storage. It runs in its own process with unpatched kafkajs, because Landfall replaces two functions of kafkajs.
 */

const { brokers, from, to, count, warmUp, batch, valueBytes } = JSON.parse(process.argv[2] ?? '{}') as FloorRun;
/** Landfall's client uses the same retry settings. With the default waits of kafkajs a transaction takes 300 ms. */
const retry = { initialRetryTime: 1, maxRetryTime: 250, factor: 0.2, multiplier: 1.6, retries: 18 };
const kafka = new Kafka({ clientId: 'floor', brokers: [...brokers], logLevel: logLevel.NOTHING, retry });
const group = `${to}-${crypto.randomUUID()}`;
const producer = kafka.producer({ transactionalId: group, idempotent: true, maxInFlightRequests: 1 });
const consumer = kafka.consumer({ groupId: group, maxWaitTimeInMs: 100, maxBytesPerPartition: 4 * 1024 * 1024 });
const filling = valueBytes === null ? null : Buffer.alloc(valueBytes, 'x');

await Promise.all([producer.connect(), consumer.connect()]);
await consumer.subscribe({ topic: from, fromBeginning: true });
process.send?.(await measured());
await consumer.disconnect();
await producer.disconnect();
process.disconnect();

async function measured(): Promise<Measured> {
  const transactionMs: number[] = [];
  let done = 0;
  let warm: { readonly at: number; readonly done: number } | null = null;
  const { promise, resolve, reject } = Promise.withResolvers<Measured>();
  const running = consumer.run({
    autoCommit: false,
    eachBatchAutoResolve: false,
    eachBatch: async (payload) => {
      const { messages, topic, partition } = payload.batch;
      for (let start = 0; start < messages.length; start += batch) {
        const slice = messages.slice(start, start + batch);
        const last = slice.at(-1);
        if (last === undefined) continue;
        if (warm === null && done >= warmUp) warm = { at: performance.now(), done };
        const began = performance.now();
        const transaction = await producer.transaction();
        const out = slice.map(({ key, value }) => ({ partition: 0, key, value: filling ?? value }));
        await transaction.send({ topic: to, messages: out, acks: -1 });
        const offsets = [{ topic, partitions: [{ partition, offset: String(Number(last.offset) + 1) }] }];
        await transaction.sendOffsets({ consumerGroupId: group, topics: offsets });
        await transaction.commit();
        if (warm !== null) transactionMs.push(performance.now() - began);
        payload.resolveOffset(last.offset);
        done += slice.length;
      }
      await payload.heartbeat();
      if (done < count || warm === null) return;
      resolve({ recordsPerSecond: perSecond(done - warm.done, performance.now() - warm.at), transactionMs });
    },
  });
  running.catch(reject);
  return promise;
}
