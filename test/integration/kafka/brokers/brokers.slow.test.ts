import { setTimeout as wait } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Broker } from './broker.ts';
import { EVENTUALLY } from './eventually.ts';
import { brokersForTests, canStartClusters, type Cluster, startCluster, uniqueName } from './index.ts';
import { type Access, clientOf, createTopic, readAll, startSending } from './records.ts';

const shared = await brokersForTests();

describe.skipIf(shared === null)('the broker that tests share', () => {
  it('takes records and gives them back', async () => {
    const kafka = clientOf({ brokers: shared?.bootstrap ?? [] });
    const topic = uniqueName('shared');
    await createTopic(kafka, topic);
    const sending = startSending(kafka, topic);
    await expect.poll(() => sending.acknowledged.length, EVENTUALLY).toBeGreaterThan(20);
    await sending.stop();
    expect(await readAll(kafka, topic)).toEqual(sending.acknowledged);
  });

  it('is the same one for whoever asks', async () => {
    expect(await brokersForTests()).toEqual(shared);
  });
});

describe.skipIf(!(await canStartClusters()))('a broker of one test', () => {
  let cluster: Cluster;
  let broker: Broker;
  beforeAll(async () => {
    cluster = await startCluster({ withProxies: true, withSecurity: true });
    broker = cluster.broker(0);
    return () => cluster.stop();
  });

  it('loses nothing that it acknowledged when it is killed and started again', async () => {
    const kafka = clientOf({ brokers: cluster.bootstrap });
    const topic = uniqueName('killed');
    await createTopic(kafka, topic);
    const sending = startSending(kafka, topic);
    await expect.poll(() => sending.acknowledged.length, EVENTUALLY).toBeGreaterThan(50);
    await broker.kill();
    expect(broker.isRunning).toBe(false);
    const before = sending.acknowledged.length;
    await broker.start();
    await expect.poll(() => sending.acknowledged.length, EVENTUALLY).toBeGreaterThan(before + 50);
    await sending.stop();
    expect(await readAll(kafka, topic)).toEqual(sending.acknowledged);
    expect(await cluster.leaderOf(topic, 0)).toBe(0);
  });

  it('answers nothing while it is paused, and goes on', async () => {
    const kafka = clientOf({ brokers: cluster.bootstrap });
    const topic = uniqueName('paused');
    await createTopic(kafka, topic);
    const sending = startSending(kafka, topic);
    await expect.poll(() => sending.acknowledged.length, EVENTUALLY).toBeGreaterThan(20);
    broker.pause();
    await wait(200);
    const before = sending.acknowledged.length;
    await wait(300);
    expect(sending.acknowledged).toHaveLength(before);
    broker.resume();
    await expect.poll(() => sending.acknowledged.length, EVENTUALLY).toBeGreaterThan(before + 20);
    await sending.stop();
    expect(await readAll(kafka, topic)).toEqual(sending.acknowledged);
  });

  it('is out of reach behind a proxy that is frozen or cut, and for nobody else', async () => {
    const kafka = clientOf({ brokers: cluster.proxied });
    const direct = clientOf({ brokers: cluster.bootstrap });
    const proxy = cluster.proxy(0);
    const topic = uniqueName('proxied');
    await createTopic(kafka, topic);
    const sending = startSending(kafka, topic);
    for (const harm of [() => Promise.resolve(proxy.freeze()), () => proxy.cut()]) {
      const start = sending.acknowledged.length;
      await expect.poll(() => sending.acknowledged.length, EVENTUALLY).toBeGreaterThan(start + 20);
      await harm();
      await wait(200);
      const before = sending.acknowledged.length;
      await wait(200);
      expect(sending.acknowledged).toHaveLength(before);
      await createTopic(direct, uniqueName('direct'));
      await proxy.restore();
    }
    const start = sending.acknowledged.length;
    await expect.poll(() => sending.acknowledged.length, EVENTUALLY).toBeGreaterThan(start + 20);
    await sending.stop();
    expect(await readAll(direct, topic)).toEqual(sending.acknowledged);
  });

  it('demands TLS and a password on its secure listener', async () => {
    const { ssl, scram, plain } = cluster.security;
    const connects = async (access: Partial<Access>) => {
      const admin = clientOf({ brokers: cluster.secure, ssl: { ca: ssl.ca }, retries: 1, ...access }).admin();
      await admin.connect();
      const { brokers } = await admin.describeCluster();
      await admin.disconnect();
      return brokers.map(({ host, port }) => `${host}:${port}`);
    };
    expect(await connects({ sasl: scram })).toEqual(cluster.secure);
    expect(await connects({ sasl: plain })).toEqual(cluster.secure);
    await expect(connects({ sasl: { ...scram, password: 'wrong' } })).rejects.toThrow(/authentication/i);
    await expect(connects({ sasl: scram, ssl: { ca: ssl.cert } })).rejects.toThrow(/certificate/i);
  });

  it('tells what it printed when it does not start', async () => {
    await expect(startCluster({ properties: { 'log.retention.ms': 'for ever' } })).rejects.toThrow(
      /log\.retention\.ms/,
    );
  });
});
