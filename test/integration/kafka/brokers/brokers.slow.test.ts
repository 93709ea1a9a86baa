import { setTimeout as wait } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Broker } from './broker.ts';
import { EVENTUALLY } from './eventually.ts';
import { brokersForTests, canStartClusters, type Cluster, startCluster, uniqueName } from './index.ts';
import { type Access, clientOf, createTopic, readAll, startSending } from './records.ts';

const shared = await brokersForTests();

describe.skipIf(shared === null)('the shared broker', () => {
  it('returns the records that it accepted', async () => {
    const kafka = clientOf({ brokers: shared?.bootstrap ?? [] });
    const topic = uniqueName('shared');
    await createTopic(kafka, topic);
    const sending = startSending(kafka, topic);
    await expect.poll(() => sending.acknowledged.length, EVENTUALLY).toBeGreaterThan(20);
    await sending.stop();
    expect(await readAll(kafka, topic)).toEqual(sending.acknowledged);
  });

  it('has one address for all callers', async () => {
    expect(await brokersForTests()).toEqual(shared);
  });
});

describe.skipIf(!(await canStartClusters()))('a broker started by one test', () => {
  let cluster: Cluster;
  let broker: Broker;
  beforeAll(async () => {
    cluster = await startCluster({ withProxies: true, withSecurity: true });
    broker = cluster.broker(0);
    return () => cluster.stop();
  });

  it('keeps acknowledged records across a kill and a restart', async () => {
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

  it('answers no request while paused and continues afterwards', async () => {
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

  it('is unreachable only through a frozen or cut proxy', async () => {
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

  it('requires TLS and a password on its secure listener', async () => {
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

  it('includes its output in the error if it fails to start', async () => {
    await expect(startCluster({ properties: { 'log.retention.ms': 'for ever' } })).rejects.toThrow(
      /log\.retention\.ms/,
    );
  });
});
