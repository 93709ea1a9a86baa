import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { declared, started } from '../../../service/harness.ts';
import { canStartClusters, type Cluster, startCluster } from '../brokers/index.ts';
import { eventually, forTest, instance, ready } from '../instances.ts';
import { scratchTopics } from '../scratch.ts';

describe.skipIf(!(await canStartClusters()))('too few replicas in sync', { timeout: 120_000 }, () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster({ brokers: 3 });
  }, 60_000);
  afterAll(() => cluster.stop());

  it('is told in words; nothing is acknowledged, nothing is lost, and all goes on when they are back', async () => {
    // All three must have each record: one that is gone is one too few.
    const scratch = forTest(await scratchTopics(cluster.bootstrap, 1, 3, cluster.bootstrap, 3));
    const one = await instance(scratch, 'one');
    await ready(scratch, one);
    const vm = randomUUID();
    expect((await one.post(declared(vm))).status).toBe(202);
    const leader = await cluster.leaderOf(`${scratch.prefix}.inputs`, 0);
    const other = cluster.broker((leader + 1) % 3);
    await other.kill();
    // Until it is taken off the list, its copy is waited for.
    await wait(5000);
    const attempt = started('m-1', vm);
    const refused = await one.post(attempt);
    expect([refused.status, refused.body['code']]).toEqual([503, 'NOT_READY']);
    expect(refused.body['message']).toContain('KAFKA_TOO_FEW_REPLICAS');
    await other.start();
    await ready(scratch, one);
    await eventually(async () => ((await one.post(attempt)).status === 202 ? true : null));
    // It may be pending until the ledger, too, is written to all three again.
    await eventually(async () => ((await one.get('/v1/migrations')).body.items.length === 1 ? true : null));
    await one.stop();
  });
});
