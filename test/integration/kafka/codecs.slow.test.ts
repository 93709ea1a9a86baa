import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { topicsOf } from '../../../kafka/options.ts';
import { declared } from '../../service/harness.ts';
import { brokersForTests } from './brokers/index.ts';
import { forTest, instance, ready } from './instances.ts';
import { alterTopic, scratchTopics } from './scratch.ts';

/** The producer or the broker chooses the compression of a topic. */

const shared = await brokersForTests();

describe.skipIf(shared === null)('A compressed topic', () => {
  it.each(['snappy', 'lz4'])('delivers inputs and ledger entries with the codec %s', async (codec) => {
    const brokers = shared?.bootstrap ?? [];
    const scratch = forTest(await scratchTopics(brokers, 1));
    const { inputs, ledger } = topicsOf(scratch.prefix);
    for (const topic of [inputs, ledger]) await alterTopic(brokers, topic, { 'compression.type': codec });
    const one = await instance(scratch, 'one');
    await ready(scratch, one);
    // The text is long enough for a Java broker to write several blocks.
    const vms = Array.from({ length: 300 }, () => randomUUID());
    const { status } = await one.post(vms.map((vm) => declared(vm)));
    expect(status).toBe(202);
    const two = await instance(scratch, 'two');
    const position = (await one.get('/v1/config')).headers.get('landfall-position') ?? '';
    const { body } = await two.get(`/v1/vms/${vms.at(-1)}`, { 'landfall-position': position });
    expect(body['host']).toBe('host-a');
  });
});
