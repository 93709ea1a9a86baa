import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { canStartClusters, type Cluster, startCluster } from '../brokers/index.ts';
import { forTest, instance, ready } from '../instances.ts';
import { scratchTopics } from '../scratch.ts';
import { check, checkCopies, settled } from './checker.ts';
import { Load } from './load.ts';

/** Brokers are killed while two instances decide a load of inputs. */

const PARTITIONS = 4;

export async function brokerFaults({ inputs, kills }: { inputs: number; kills: number }): Promise<void> {
  const canStart = await canStartClusters();
  describe.skipIf(!canStart)('two instances on three brokers', { timeout: 1_200_000 }, () => {
    suite(inputs, kills);
  });
}

function suite(inputs: number, kills: number): void {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster({ brokers: 3 });
  });
  afterAll(() => cluster.stop());

  /** Runs two instances under load during a fault of the brokers, and checks the ledger afterwards. */
  const underLoad = async (harm: (prefix: string, load: Load) => Promise<void>) => {
    const scratch = forTest(await scratchTopics(cluster.bootstrap, PARTITIONS, 3));
    const instances = [await instance(scratch, 'one'), await instance(scratch, 'two')];
    await ready(scratch, ...instances);
    const load = new Load({
      brokers: cluster.bootstrap,
      prefix: scratch.prefix,
      partitions: PARTITIONS,
      width: 25,
    }).start();
    await harm(scratch.prefix, load);
    await load.stop();
    const { violations, entries } = await settled(cluster.bootstrap, scratch.prefix, load);
    console.log(JSON.stringify({ inputs: load.count, entries, repeated: load.repeated }));
    expect(violations).toEqual([]);
    await Promise.all(instances.map((each) => each.stop()));
    const { heads } = await check(cluster.bootstrap, scratch.prefix, load);
    for (const name of ['one', 'two']) expect(await checkCopies(scratch.copies(name), heads)).toEqual([]);
  };

  it(`lose nothing when the leader is killed ${kills} times`, () =>
    underLoad(async (prefix, load) => {
      for (let kill = 0; kill < kills; kill += 1) {
        await load.reached((inputs * (kill + 1)) / (kills + 1));
        const leader = cluster.broker(await cluster.leaderOf(`${prefix}.ledger`, kill % PARTITIONS));
        await leader.kill();
        await wait(1000);
        await leader.start();
      }
      await load.reached(inputs);
    }));

  it('lose nothing when all brokers restart at once', () =>
    underLoad(async (_, load) => {
      await load.reached(1000);
      await cluster.restartAll();
      await load.reached(load.count + 1000);
    }));
}
