import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { declared, type Served, started, textOf } from '../../../service/harness.ts';
import { canStartClusters, type Cluster, startCluster } from '../brokers/index.ts';
import { eventually, forTest, instance, ready } from '../instances.ts';
import { scratchTopics } from '../scratch.ts';

describe.skipIf(!(await canStartClusters()))('a ledger with too few replicas in sync', () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster({ brokers: 3 });
  });
  afterAll(() => cluster.stop());

  it('reports the fault, acknowledges nothing, and recovers with the replica', async () => {
    // Every record needs three replicas, so one lost broker is enough to block commits.
    const scratch = forTest(await scratchTopics(cluster.bootstrap, 1, 3, cluster.bootstrap, 3));
    const one = await instance(scratch, 'one');
    await ready(scratch, one);
    const vm = randomUUID();
    expect((await one.post(declared(vm))).status).toBe(202);
    const leader = await cluster.leaderOf(`${scratch.prefix}.inputs`, 0);
    const other = cluster.broker((leader + 1) % 3);
    await other.kill();
    // Commits wait for the lost replica until Kafka removes it from the in-sync list.
    await wait(5000);
    const attempt = started('m-1', vm);
    const refused = await one.post(attempt);
    expect([refused.status, refused.body['code']]).toEqual([503, 'NOT_READY']);
    expect(refused.body['message']).toContain('KAFKA_TOO_FEW_REPLICAS');
    await other.start();
    await recovered(one);
    await eventually(async () => ((await one.post(attempt)).status === 202 ? true : null));
    // The input may be pending until all three brokers replicate the ledger again.
    await eventually(async () => ((await one.get('/v1/migrations')).body.items.length === 1 ? true : null));
    await one.stop();
  });

  it('acknowledges nothing on one broker and recovers with a second one', async () => {
    const scratch = forTest(await scratchTopics(cluster.bootstrap, 1, 3));
    const one = await instance(scratch, 'one');
    await ready(scratch, one);
    const vms = Array.from({ length: 20 }, () => randomUUID());
    expect((await one.post(vms.map((vm) => declared(vm)))).status).toBe(202);
    // The leader still runs but must not accept records.
    const leader = await cluster.leaderOf(`${scratch.prefix}.inputs`, 0);
    const gone = [1, 2].map((step) => cluster.broker((leader + step) % 3));
    await Promise.all(gone.map((broker) => broker.kill()));
    const late = randomUUID();
    const attempt = declared(late);
    const began = Date.now();
    const refused = await one.post(attempt);
    expect([refused.status, refused.body['code']]).toEqual([503, 'NOT_READY']);
    expect(refused.body['message']).toMatch(
      /did not acknowledge the input \(KAFKA_(UNACKNOWLEDGED|TOO_FEW_REPLICAS|FAILED)\)/,
    );
    expect(Date.now() - began).toBeLessThan(30_000);
    const told = await eventually(async () => {
      const { status, body } = await one.get('/readyz');
      return status === 503 ? [textOf(body['message']), textOf(body['remedy'])] : null;
    });
    expect(told).toEqual([expect.stringMatching(/brokers|written|behind|KAFKA_/), expect.any(String)]);
    expect((await one.post(attempt)).status).toBe(503);
    const shown = await one.get('/v1/vms');
    expect([shown.status, new Set(shown.body.items.map((item) => item['vm']))]).toEqual([200, new Set(vms)]);
    await gone[0]?.start();
    await recovered(one);
    await eventually(async () => ((await one.post(attempt)).status === 202 ? true : null));
    await eventually(async () => ((await one.get('/v1/vms')).body.items.length === vms.length + 1 ? true : null));
    const again = await one.post(attempt);
    expect([again.status, again.body['duplicate']]).toEqual([202, true]);
    await gone[1]?.start();
    await one.stop();
    const two = await instance(scratch, 'two');
    await ready(scratch, two);
    const all = (await two.get('/v1/vms')).body.items.map((item) => item['vm']);
    expect([all.length, new Set(all)]).toEqual([vms.length + 1, new Set([...vms, late])]);
    await two.stop();
  });
});

/** Waits until the instance is ready, usually within a minute. */
async function recovered({ get }: Pick<Served, 'get'>): Promise<void> {
  await expect.poll(async () => (await get('/readyz')).status, { timeout: 120_000, interval: 500 }).toBe(200);
}
