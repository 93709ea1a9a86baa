import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { wallTime } from '../../../engine/time.ts';
import { declared, textOf } from '../../service/harness.ts';
import { brokersForTests } from './brokers/index.ts';
import { eventually, forTest, instance, ready } from './instances.ts';
import { scratchTopics } from './scratch.ts';

const shared = await brokersForTests();

describe.skipIf(shared === null)('An instance whose clock is behind', () => {
  it('declines its partitions until its clock is correct', async () => {
    const scratch = forTest(await scratchTopics(shared?.bootstrap ?? [], 4));
    const one = await instance(scratch, 'one');
    await ready(scratch, one);
    const vms = Array.from({ length: 20 }, () => randomUUID());
    expect((await one.post(vms.map((vm) => declared(vm)))).status).toBe(202);
    let behindMs = 120_000;
    const slow = { ...wallTime, now: () => Date.now() - behindMs };
    const two = await instance(scratch, 'two', {}, slow);
    const owned = async () => {
      const metrics = await Promise.all([one, two].map(async (each) => textOf((await each.get('/metrics')).body)));
      return metrics.map((text) => /^landfall_partitions_owned (\d+)/m.exec(text)?.[1]);
    };
    await eventually(async () =>
      two.logged.some((line) => line.includes('the declined partitions have changed')) ? 1 : null,
    );
    await eventually(async () => ((await owned()).join() === '4,0' ? true : null));
    expect((await one.get('/readyz')).status).toBe(200);
    const told = await two.get('/readyz');
    expect([told.status, told.body['code']]).toEqual([503, 'CLOCK_BEHIND']);
    // The instance still accepts inputs, which the second instance decides.
    expect((await two.post(declared(randomUUID()))).status).toBe(202);
    behindMs = 0;
    await eventually(async () => ((await owned()).join() === '2,2' ? true : null));
    await ready(scratch, one, two);
  });
});
