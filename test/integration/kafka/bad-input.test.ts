import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { connectTo } from '../../../log/kafka/client.ts';
import { topicsOf } from '../../../log/kafka/options.ts';
import { partitionOf } from '../../../log/kafka/partitioner.ts';
import { RecordProducer } from '../../../producers/kafka/record-producer.ts';
import { declared, started, textOf } from '../../service/harness.ts';
import { brokersForTests } from './brokers/index.ts';
import { eventually, forTest, instance, ready } from './instances.ts';
import { scratchTopics } from './scratch.ts';

/** What should never be in the topic of inputs. */

const shared = await brokersForTests();
const PARTITIONS = 3;

describe.skipIf(shared === null)('a record that is no input', { timeout: 60_000 }, () => {
  it('becomes a dead letter with its reason, place and bytes, and the partition goes on', async () => {
    const brokers = shared?.bootstrap ?? [];
    const scratch = forTest(await scratchTopics(brokers, PARTITIONS));
    const one = await instance(scratch, 'one');
    await ready(scratch, one);
    const { inputs, deadLetters } = topicsOf(scratch.prefix);
    const vm = randomUUID();
    const home = partitionOf(vm, PARTITIONS);
    const away = (home + 1) % PARTITIONS;
    const good = JSON.stringify(declared(vm));
    const producer = new RecordProducer(connectTo({ brokers, clientId: 'test' }));
    const send = (partition: number, key: string | null, value: string | Buffer | null) =>
      producer.send(inputs, partition, [{ key, value }]);
    await send(home, null, good);
    await send(home, randomUUID(), good);
    await send(away, vm, good);
    await send(home, vm, '{"specversion": "1.0", "id":');
    await send(home, vm, null);
    await send(home, vm, Buffer.from([0xff, 0xfe, 0x00, 0x80]));
    await send(home, vm, JSON.stringify({ ...declared(vm), type: 'landfall.vm.declared.v9' }));
    await send(home, vm, JSON.stringify({ ...declared(vm), padding: 'x'.repeat(10 * 1024 * 1024) }));
    await send(home, vm, good);
    await producer.close();
    expect((await one.post(started('m-1', vm))).status).toBe(202);
    // Another partition may be a moment behind.
    const letters = await eventually(async () => {
      const { body } = await one.get('/v1/dead-letters');
      return body.items.length === 8 ? body.items : null;
    });
    const codesOf = (partition: number) =>
      letters.filter((item) => textOf(item['position']).startsWith(`${partition}:`)).map((item) => item['code']);
    expect(codesOf(away)).toEqual(['BAD_KEY']);
    expect(codesOf(home)).toEqual([
      'BAD_KEY',
      'BAD_KEY',
      'BAD_JSON',
      'BAD_JSON',
      'BAD_JSON',
      'UNKNOWN_TYPE',
      'TOO_LARGE',
    ]);
    expect((await one.get(`/v1/vms/${vm}`)).body['host']).toBe('host-a');
    const left = await eventually(async () => {
      const found = await recordsOf(brokers, deadLetters);
      return found.length === 8 ? found : null;
    });
    const torn = left.find(({ value }) => value === '{"specversion": "1.0", "id":');
    expect(torn?.headers).toMatchObject({ code: 'BAD_JSON', stream: `${inputs}/${home}`, offset: '2' });
    await one.stop();
  });
});

type Letter = { readonly value: string; readonly headers: Record<string, string> };

async function recordsOf(brokers: readonly string[], topic: string): Promise<Letter[]> {
  const kafka = connectTo({ brokers, clientId: 'test' });
  const consumer = kafka.consumer({ groupId: randomUUID(), maxWaitTimeInMs: 100 });
  const found: Letter[] = [];
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await consumer.run({
    eachMessage: ({ message }) => {
      const headers = Object.entries(message.headers ?? {}).map(([name, value]) => [name, String(value)]);
      found.push({ value: String(message.value), headers: Object.fromEntries(headers) as Letter['headers'] });
      return Promise.resolve();
    },
  });
  await wait(1500);
  await consumer.disconnect();
  return found;
}
