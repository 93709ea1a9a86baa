import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { canStartClusters, type Cluster, startCluster } from '../brokers/index.ts';
import { forTest, instance, ready } from '../instances.ts';
import { scratchTopics } from '../scratch.ts';
import { check, checkCopies, settled } from './checker.ts';
import { Load } from './load.ts';

/** Brokers that die while two instances decide what a load of inputs asks. LANDFALL_FAULT_INPUTS sets how many. */

const INPUTS = Number(process.env['LANDFALL_FAULT_INPUTS'] ?? 12_000);
const PARTITIONS = 4;

describe.skipIf(!(await canStartClusters()))('three brokers', { timeout: 300_000 }, () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster({ brokers: 3 });
  }, 60_000);
  afterAll(() => cluster.stop());

  it('may lose their leader in the middle of transactions, again and again', async () => {
    const scratch = forTest(await scratchTopics(cluster.bootstrap, PARTITIONS, 3));
    const instances = [await instance(scratch, 'one'), await instance(scratch, 'two')];
    await ready(scratch, ...instances);
    const load = new Load({ brokers: cluster.bootstrap, prefix: scratch.prefix, partitions: PARTITIONS }).start();
    const kills = Math.max(3, Math.round(INPUTS / 8000));
    for (let kill = 0; kill < kills; kill += 1) {
      await load.reached((INPUTS * (kill + 1)) / (kills + 1));
      const leader = cluster.broker(await cluster.leaderOf(`${scratch.prefix}.ledger`, kill % PARTITIONS));
      await leader.kill();
      await new Promise((wake) => setTimeout(wake, 1000));
      await leader.start();
    }
    await load.reached(INPUTS);
    await load.stop();
    const { violations, entries } = await settled(cluster.bootstrap, scratch.prefix, load);
    console.log(JSON.stringify({ inputs: load.count, entries, kills, repeated: load.repeated }));
    expect(violations).toEqual([]);
    await Promise.all(instances.map(({ stop }) => stop()));
    const { heads } = await check(cluster.bootstrap, scratch.prefix, load);
    for (const name of ['one', 'two']) expect(await checkCopies(scratch.copies(name), heads)).toEqual([]);
  });
});
