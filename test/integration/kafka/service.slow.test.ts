import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { groupOf, topicsOf } from '../../../kafka/options.ts';
import { declared, event, returned, started, textOf, workOff } from '../../service/harness.ts';
import { readPaths, refuseReadsOfDecidingThread } from '../../service/refused-reads.ts';
import { brokersForTests } from './brokers/index.ts';
import { eventually, forTest, instance, ready } from './instances.ts';
import { rawClient } from './raw-client.ts';
import { scratchTopics } from './scratch.ts';

const shared = await brokersForTests();
const PARTITIONS = 4;

describe.skipIf(shared === null)('Instances that share the partitions', () => {
  const topics = async () => forTest(await scratchTopics(shared?.bootstrap ?? [], PARTITIONS));

  it('decide each input once, whichever instance receives it', async () => {
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

  it('answer every read of the replicas on reader threads', async () => {
    const scratch = await topics();
    const one = await instance(scratch, 'one');
    await ready(scratch, one);
    const vm = randomUUID();
    expect((await one.post([declared(vm), started('m-1', vm)])).status).toBe(202);
    refuseReadsOfDecidingThread(one);
    for (const path of readPaths(vm, 'm-1')) expect([path, (await one.get(path)).status]).toEqual([path, 200]);
  });

  it('report duplicates, conflicts and refusals like the embedded ledger', async () => {
    const scratch = await topics();
    const one = await instance(scratch, 'one');
    await ready(scratch, one);
    const vm = randomUUID();
    const first = declared(vm);
    expect((await one.post(first)).body['duplicate']).toBe(false);
    expect((await one.post(first)).body['duplicate']).toBe(true);
    const other = { ...first, data: { name: 'other', host: 'host-b', power: 'running', volumes: [] } };
    for (const conflict of [await one.post(other), await one.post(other)])
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

  it('apply changed start-up settings once', async () => {
    const scratch = await topics();
    const one = await instance(scratch, 'one', { recheckIntervalSeconds: 3 });
    await ready(scratch, one);
    const interval = async () => Number((await one.get('/v1/config')).body['recheckIntervalSeconds']);
    const entries = async () => sequencesIn((await one.get('/v1/config')).headers.get('landfall-position'));
    /** A setting is changed by one entry in each partition. */
    const haveBecome = (expected: readonly number[]) =>
      eventually(async () => (isDeepStrictEqual(await entries(), expected) ? true : null));
    await haveBecome([1, 1, 1, 1]);
    expect(await interval()).toBe(3);
    // A setting in force is not written again. The replica is empty at the start, so a setting with its default value
    // must not be skipped.
    const two = await instance(scratch, 'two', { recheckIntervalSeconds: 3 });
    await ready(scratch, one, two);
    await instance(scratch, 'three', { recheckIntervalSeconds: 10 });
    await haveBecome([2, 2, 2, 2]);
    expect(await interval()).toBe(10);
  });

  it('leave the group even when stopped during start-up', async () => {
    const scratch = await topics();
    const admin = rawClient(scratch.brokers).admin();
    await admin.connect();
    onTestFinished(() => admin.disconnect());
    for (const ms of [0, 150]) {
      const one = await instance(scratch, 'one');
      await wait(ms);
      await one.stop();
    }
    // A consumer that outlived its instance would join the group within a second.
    await wait(1500);
    await eventually(async () => {
      const { groups } = await admin.describeGroups([groupOf(scratch.prefix)]);
      return groups.every(({ members }) => members.length === 0) ? true : null;
    });
  });

  it('hand over their partitions when one stops', async () => {
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

  it('commit the offset of the group within seconds and before they stop', async () => {
    const scratch = await topics();
    const one = await instance(scratch, 'one');
    await ready(scratch, one);
    const inputs = topicsOf(scratch.prefix).inputs;
    const admin = rawClient(scratch.brokers).admin();
    await admin.connect();
    onTestFinished(() => admin.disconnect());
    const ends = async () => (await admin.fetchTopicOffsets(inputs)).map(({ high }) => high).toSorted();
    const told = async () => {
      const [topic] = await admin.fetchOffsets({ groupId: groupOf(scratch.prefix), topics: [inputs] });
      return topic?.partitions.map(({ offset }) => offset).toSorted();
    };
    const vms = Array.from({ length: 40 }, () => randomUUID());
    for (const vm of vms) await one.post(declared(vm));
    const reached = await ends();
    await eventually(async () => (isDeepStrictEqual(await told(), reached) ? true : null));
    for (const [nth, vm] of vms.entries()) await one.post(started(`m-${nth}`, vm));
    await one.stop();
    expect(await told()).toEqual(await ends());
  });

  it('ask each other before they report an agent as silent', async () => {
    const scratch = await topics();
    const flags = { agentSilentSeconds: 1 };
    const [one, two] = [await instance(scratch, 'one', flags), await instance(scratch, 'two', flags)];
    await ready(scratch, one, two);
    await one.post(event('host.facts', { host: 'host-a', stream: 'connected' }));
    const poll = (via: typeof one) => via.get('/v1/hosts/host-a/work?wait=0');
    await poll(one);
    for (let half = 0; half < 14; half += 1) {
      await poll(two);
      await wait(500);
    }
    const agents = async () => (await one.get('/v1/hosts')).body.items.map((item) => [item['agent'], item['stream']]);
    expect(await agents()).toEqual([['speaking', 'connected']]);
    await eventually(async () => (textOf((await agents())[0]?.[0]) === 'silent' ? true : null));
    await poll(two);
    await eventually(async () => (textOf((await agents())[0]?.[0]) === 'speaking' ? true : null));
  });

  it('measure their lag and the time of commits', async () => {
    const scratch = await topics();
    const one = await instance(scratch, 'one');
    await ready(scratch, one);
    await one.post(Array.from({ length: 8 }, () => declared(randomUUID())));
    const metrics = textOf((await one.get('/metrics')).body);
    for (const partition of Array.from({ length: PARTITIONS }, (_, index) => index))
      expect(metrics).toContain(`landfall_input_lag_records{partition="${partition}"} 0`);
    const told = await eventually(() =>
      Promise.resolve(one.logged.find((line) => line.includes('"instance status"')) ?? null),
    );
    expect(JSON.parse(told)).toMatchObject({ partitions: [0, 1, 2, 3], inputLag: 0, copyLag: expect.any(Number) });
  });
});

/** Returns the sequences of all partitions in a position. */
const sequencesIn = (position: string | null): number[] =>
  (position ?? '').split(',').map((each) => Number(each.split(':')[1]));
