import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { canStartClusters, type Cluster, startCluster } from '../brokers/index.ts';
import { forTest, instance, ready } from '../instances.ts';
import { scratchTopics } from '../scratch.ts';
import { check, checkCopies, settled } from './checker.ts';
import { Load } from './load.ts';

/** Network faults between an instance and its broker, under a load of inputs. */

const PARTITIONS = 3;

const HARMS = {
  'is cut repeatedly': [(proxy) => proxy.cut(), 700, 3],
  'is frozen': [(proxy) => proxy.freeze(), 2500, 2],
  'delivers requests but no answers': [(proxy) => proxy.freeze('answers'), 2500, 1],
  'is slow': [(proxy) => proxy.slow(150), 3000, 1],
} as const satisfies Record<string, readonly [harm: (proxy: Network) => unknown, ms: number, times: number]>;
type Harm = keyof typeof HARMS;

export async function networkFaults(harms: readonly Harm[]): Promise<void> {
  const canStart = await canStartClusters();
  describe.skipIf(!canStart)('an instance with a network fault', { timeout: 300_000 }, () => {
    suite(harms);
  });
}

function suite(harms: readonly Harm[]): void {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster({ withProxies: true });
  });
  afterAll(() => cluster.stop());

  it.each(harms)('loses nothing while its network %s', async (name) => {
    const [harm, ms, times] = HARMS[name];
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

  it('serves reads with their age and refuses inputs without brokers', async () => {
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
}

type Network = ReturnType<Cluster['proxy']>;
