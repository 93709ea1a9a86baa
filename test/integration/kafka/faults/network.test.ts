import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { canStartClusters, type Cluster, startCluster } from '../brokers/index.ts';
import { forTest, instance, ready } from '../instances.ts';
import { scratchTopics } from '../scratch.ts';
import { check, checkCopies, settled } from './checker.ts';
import { Load } from './load.ts';

/** A bad network between an instance and its broker, while what is to be decided goes on coming. */

const PARTITIONS = 3;

describe.skipIf(!(await canStartClusters()))('the network of an instance', { timeout: 120_000 }, () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster({ withProxies: true });
  }, 60_000);
  afterAll(() => cluster.stop());

  it.each([
    ['is cut, again and again', (proxy: Network) => proxy.cut(), 700, 4],
    ['is frozen', (proxy: Network) => proxy.freeze(), 2500, 2],
    ['takes what is asked and gives no answers', (proxy: Network) => proxy.freeze('answers'), 2500, 2],
    ['is slow', (proxy: Network) => proxy.slow(150), 3000, 1],
  ] as const)('%s', async (_, harm, ms, times) => {
    const scratch = forTest(await scratchTopics(cluster.bootstrap, PARTITIONS, 1, cluster.proxied));
    const one = await instance(scratch, 'one');
    await ready(scratch, one);
    const options = { brokers: cluster.bootstrap, prefix: scratch.prefix, partitions: PARTITIONS };
    const load = new Load({ ...options, width: 20, pauseMs: 10 }).start();
    for (let time = 0; time < times; time += 1) {
      await load.reached(load.count + 500);
      await harm(cluster.proxy(0));
      await wait(ms);
      await cluster.proxy(0).restore();
    }
    await load.reached(load.count + 500);
    await load.stop();
    const { violations } = await settled(cluster.bootstrap, scratch.prefix, load);
    expect(violations).toEqual([]);
    await one.stop();
    const { heads } = await check(cluster.bootstrap, scratch.prefix, load);
    expect(await checkCopies(scratch.copies('one'), heads)).toEqual([]);
  });

  it('is gone: reads go on, and say how old they are; inputs are refused, and nothing is lost', async () => {
    const scratch = forTest(await scratchTopics(cluster.bootstrap, PARTITIONS, 1, cluster.proxied));
    const one = await instance(scratch, 'one');
    await ready(scratch, one);
    const options = { brokers: cluster.bootstrap, prefix: scratch.prefix, partitions: PARTITIONS };
    const load = new Load({ ...options, width: 5 }).start();
    await load.reached(200);
    await load.stop();
    expect((await settled(cluster.bootstrap, scratch.prefix, load)).violations).toEqual([]);
    await cluster.proxy(0).cut();
    await wait(2500);
    const list = await one.get('/v1/migrations');
    expect(list.status).toBe(200);
    expect(Number(list.headers.get('landfall-age-seconds'))).toBeGreaterThan(0);
    const [vm] = load.acknowledged.keys();
    const refused = await one.post({
      specversion: '1.0',
      id: 'x',
      source: 'test',
      type: 'landfall.vm.declared.v1',
      subject: vm,
      data: { name: 'w', host: 'h', power: 'running', volumes: [] },
    });
    expect([refused.status, refused.body['code']]).toEqual([503, 'NOT_READY']);
    await cluster.proxy(0).restore();
    await ready(scratch, one);
    await one.stop();
  });
});

type Network = ReturnType<Cluster['proxy']>;
