import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { declared, event, returned, started, textOf, workOff } from '../../service/harness.ts';
import { brokersForTests } from './brokers/index.ts';
import { forTest, instance, ready } from './instances.ts';
import { scratchTopics } from './scratch.ts';

const shared = await brokersForTests();
const PARTITIONS = 4;

describe.skipIf(shared === null)('instances that share the partitions', { timeout: 60_000 }, () => {
  const topics = async () => forTest(await scratchTopics(shared?.bootstrap ?? [], PARTITIONS));

  it('decide what reached any of them, once, and each can tell', async () => {
    const scratch = await topics();
    const [one, two] = [await instance(scratch, 'one'), await instance(scratch, 'two')];
    await ready(scratch, one, two);
    const vms = Array.from({ length: 12 }, () => randomUUID());
    const posted = await one.post(vms.map((vm) => declared(vm)));
    expect(posted.status).toBe(202);
    const positions = posted.body.items.map((item) => textOf(item['position']));
    expect(new Set(positions.map((position) => position.split(':')[0])).size).toBeGreaterThan(1);
    for (const [index, vm] of vms.entries()) {
      const via = index % 2 === 0 ? two : one;
      expect((await via.post([started(`m-${index}`, vm), returned(`m-${index}`, vm)])).status).toBe(202);
    }
    expect(await workOff(two)).toBeGreaterThan(vms.length);
    const last = (await two.get('/readyz')).body['position'];
    const list = await one.get('/v1/migrations', { 'landfall-position': textOf(last) });
    expect(list.body.items.map((item) => [item['settled'], item['state']])).toEqual(
      vms.map(() => [true, 'RolledBack']),
    );
    expect(list.headers.get('landfall-position')?.split(',')).toHaveLength(PARTITIONS);
    const all = await two.get('/v1/vms', { 'landfall-position': textOf(last) });
    expect(all.body.items.map((item) => item['host'])).toEqual(vms.map(() => 'host-a'));
  });

  it('tell a duplicate, a conflict and a refusal as the embedded ledger does', async () => {
    const scratch = await topics();
    const one = await instance(scratch, 'one');
    await ready(scratch, one);
    const vm = randomUUID();
    const first = declared(vm);
    expect((await one.post(first)).body['duplicate']).toBe(false);
    expect((await one.post(first)).body['duplicate']).toBe(true);
    const conflict = await one.post({
      ...first,
      data: { name: 'other', host: 'host-b', power: 'running', volumes: [] },
    });
    expect([conflict.status, conflict.body['code']]).toEqual([409, 'IDENTITY_CONFLICT']);
    const unknown = returned('m-none', vm);
    const refused = await one.post(unknown);
    expect([refused.status, refused.body['code']]).toEqual([422, 'UNKNOWN_ATTEMPT']);
    expect((await one.post(unknown)).status).toBe(422);
    const put = await one.send('PUT', '/v1/config', { recheckIntervalSeconds: 3 });
    expect([put.status, put.body['recheckIntervalSeconds']]).toEqual([200, 3]);
    const letters = await one.get('/v1/dead-letters');
    expect(new Set(letters.body.items.map((item) => item['code']))).toEqual(
      new Set(['IDENTITY_CONFLICT', 'UNKNOWN_ATTEMPT']),
    );
  });

  it('hand their partitions over: what one leaves another goes on with', async () => {
    const scratch = await topics();
    const one = await instance(scratch, 'one');
    await ready(scratch, one);
    const vms = Array.from({ length: 8 }, () => randomUUID());
    await one.post(vms.map((vm) => declared(vm)));
    await one.post(vms.flatMap((vm, nth) => [started(`m-${nth}`, vm), returned(`m-${nth}`, vm)]));
    const two = await instance(scratch, 'two');
    await ready(scratch, one, two);
    await one.stop();
    await ready(scratch, two);
    await workOff(two);
    const list = await two.get('/v1/migrations');
    expect(list.body.items.map((item) => item['settled'])).toEqual(vms.map(() => true));
    expect((await two.post(event('host.facts', { host: 'host-a', zone: 'z1' }))).body['position']).toMatch(
      /^0:\d+,1:\d+,2:\d+,3:\d+$/,
    );
  });
});
