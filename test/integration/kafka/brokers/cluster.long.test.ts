import { beforeAll, describe, expect, it } from 'vitest';
import { EVENTUALLY } from './eventually.ts';
import { canStartClusters, type Cluster, startCluster, uniqueName } from './index.ts';
import { clientOf, createTopic, readAll, startSending } from './records.ts';

describe.skipIf(!(await canStartClusters()))('a cluster of three brokers', () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster({ brokers: 3 });
    return () => cluster.stop();
  });

  it('keeps acknowledged records while its brokers are killed, paused and terminated', async () => {
    const kafka = clientOf({ brokers: cluster.bootstrap });
    const topic = uniqueName('replicated');
    await createTopic(kafka, topic, 3);
    const sending = startSending(kafka, topic);
    const goesOn = async () => {
      const before = sending.acknowledged.length;
      await expect.poll(() => sending.acknowledged.length, EVENTUALLY).toBeGreaterThan(before + 50);
    };
    await goesOn();
    for (const harm of ['kill', 'pause', 'terminate'] as const) {
      const leader = await cluster.leaderOf(topic, 0);
      await cluster.broker(leader)[harm]();
      await expect.poll(() => cluster.leaderOf(topic, 0), EVENTUALLY).not.toBe(leader);
      // kafkajs keeps its connection to a leader that is paused, so a new client is needed to find the new leader.
      if (harm !== 'pause') await goesOn();
      cluster.broker(leader).resume();
      await cluster.start();
      await goesOn();
    }
    await cluster.restartAll();
    await goesOn();
    await sending.stop();
    expect(await readAll(kafka, topic)).toEqual(sending.acknowledged);
  });
});
