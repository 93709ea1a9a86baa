import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { connectTo } from '../../../kafka/client.ts';
import type { Admin } from '../../../kafka/kafkajs.ts';
import { initTopics } from '../../../kafka/topics.ts';
import { RecordProducer } from '../../../kafka/record-producer.ts';
import { declared, textOf } from '../../service/harness.ts';
import { landfall } from '../../support/landfall.ts';
import { brokersForTests } from './brokers/index.ts';
import { eventually, forTest, instance, ready } from './instances.ts';
import { withRawAdmin } from './raw-client.ts';
import { type Scratch, scratchTopics } from './scratch.ts';

/** The topic of inputs is created again, or loses records before they are consumed. */

const shared = await brokersForTests();
const why = ['--reason', 'retention was too short', '--operator', 'kim'];
const accessTo = ({ brokers, prefix }: Scratch) => ['--kafka-brokers', brokers.join(), '--kafka-prefix', prefix];
const recordOf = (vm: string) => ({ key: vm, value: JSON.stringify(declared(vm)) });

describe.skipIf(shared === null)('A topic of inputs that does not fit the ledger', () => {
  const setUp = async () => {
    const scratch = forTest(await scratchTopics(shared?.bootstrap ?? [], 1));
    const kafka = connectTo({ brokers: scratch.brokers, clientId: 'test' });
    const topic = `${scratch.prefix}.inputs`;
    const one = await instance(scratch, 'one');
    await ready(scratch, one);
    expect((await one.post(Array.from({ length: 5 }, () => declared(randomUUID())))).status).toBe(202);
    return {
      scratch,
      topic,
      one,
      kafka,
      admin: <T>(work: (admin: Admin) => Promise<T>) => withRawAdmin(scratch.brokers, work),
    };
  };

  it('makes running and new instances refuse inputs after its recreation', async () => {
    const { scratch, topic, one, kafka, admin } = await setUp();
    await admin((each) => each.deleteTopics({ topics: [topic] }));
    await wait(1000);
    await initTopics(kafka, { prefix: scratch.prefix, partitions: 1, replicationFactor: 1, minInsyncReplicas: 1 });
    const refused = await eventually(async () => {
      const { status, body } = await one.post(declared(randomUUID()));
      expect([status, body['duplicate']]).not.toEqual([202, true]);
      return textOf(body['code']) === 'INPUTS_ALTERED' ? status : null;
    });
    expect(refused).toBe(503);
    await eventually(async () => (textOf((await one.get('/readyz')).body['code']) === 'INPUTS_ALTERED' ? true : null));
    await one.stop();
    const two = await instance(scratch, 'two');
    await eventually(async () => (textOf((await two.get('/readyz')).body['code']) === 'INPUTS_ALTERED' ? true : null));
    expect((await two.post(declared(randomUUID()))).body['code']).toBe('INPUTS_ALTERED');
    expect((await two.get('/v1/vms')).body.items).toHaveLength(5);
  });

  it('is recognised as altered although it was filled again', async () => {
    const { scratch, topic, one, kafka, admin } = await setUp();
    await one.stop();
    await admin((each) => each.deleteTopics({ topics: [topic] }));
    await wait(1000);
    await initTopics(kafka, { prefix: scratch.prefix, partitions: 1, replicationFactor: 1, minInsyncReplicas: 1 });
    const producer = new RecordProducer(kafka);
    const others = Array.from({ length: 12 }, () => randomUUID());
    const send = async () => producer.send(topic, 0, others.map(recordOf));
    await eventually(() => send().catch(() => null));
    await producer.close();
    const two = await instance(scratch, 'two');
    const told = await eventually(async () => {
      const { status, body } = await two.get('/readyz');
      return textOf(body['code']) === 'INPUTS_ALTERED' ? [status, textOf(body['message'])] : null;
    });
    expect(told).toEqual([503, expect.stringContaining(`${topic}/0 has another record at 4`)]);
    expect((await two.post(declared(randomUUID()))).body['code']).toBe('INPUTS_ALTERED');
    expect((await two.get('/v1/vms')).body.items).toHaveLength(5);
    const refused = await landfall(['kafka', 'accept-loss', ...why, ...accessTo(scratch)]);
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('--made-anew begin')]);
    const accepted = await landfall(['kafka', 'accept-loss', '--made-anew', 'begin', ...why, ...accessTo(scratch)]);
    expect([accepted.code, accepted.stdout]).toEqual([
      0,
      expect.stringContaining(
        `${topic}/0: the topic was recreated after offset 5; consumption continues at offset 0 as ${topic}/0#1`,
      ),
    ]);
    await ready(scratch, two);
    await eventually(async () => ((await two.get('/v1/vms')).body.items.length === 17 ? true : null));
    expect((await two.post(declared(randomUUID()))).body).toMatchObject({ duplicate: false });
    const entries = (await two.get('/v1/ledger?from=0:6')).body.items.map(({ entry }) => entry);
    expect(entries[0]).toMatchObject({
      cause: {
        type: 'landfall.inputs.repositioned.v1',
        data: {
          from: { stream: `${topic}/0`, next: 5 },
          to: { stream: `${topic}/0#1`, next: 0 },
          reason: 'retention was too short',
          operator: 'kim',
        },
      },
    });
    // A third instance continues in the accepted topic without a fault.
    await two.stop();
    const three = await instance(scratch, 'three');
    await ready(scratch, three);
    expect((await three.post(declared(randomUUID()))).body).toMatchObject({ duplicate: false });
    expect((await landfall(['kafka', 'accept-loss', ...why, ...accessTo(scratch)])).stdout).toContain(
      'No inputs are missing',
    );
    expect((await landfall(['kafka', 'audit', ...accessTo(scratch)])).code).toBe(0);
  });

  it('reports deleted inputs until an operator accepts the loss', async () => {
    const { scratch, topic, one, kafka, admin } = await setUp();
    await one.stop();
    const producer = new RecordProducer(kafka);
    const vms = Array.from({ length: 4 }, () => randomUUID());
    await producer.send(topic, 0, vms.map(recordOf));
    await producer.close();
    await admin(async (each) => {
      await each.fetchTopicOffsets(topic); // without it kafkajs does not know the topic
      await each.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '8' }] });
    });
    const two = await instance(scratch, 'two');
    const told = await eventually(async () => {
      const { status, body } = await two.get('/readyz');
      return textOf(body['code']) === 'INPUTS_LOST' ? [status, body['message']] : null;
    });
    expect(told).toEqual([503, `inputs 5 to 7 of ${topic}/0 were deleted before they were consumed`]);
    const access = accessTo(scratch);
    const accepted = await landfall(['kafka', 'accept-loss', ...why, ...access]);
    expect([accepted.code, accepted.stdout]).toEqual([
      0,
      expect.stringContaining(`${topic}/0: inputs 5 to 7 are lost`),
    ]);
    await ready(scratch, two);
    await eventually(async () => ((await two.get('/v1/vms')).body.items.length === 6 ? true : null));
    expect((await two.post(declared(randomUUID()))).status).toBe(202);
    expect((await landfall(['kafka', 'accept-loss', ...why, ...access])).stdout).toContain('No inputs are missing');
  });
});
