import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { KafkaClient } from '../../kafka/port.ts';
import { SupervisedConsumer, type SupervisedConsumerOptions } from '../../kafka/supervised-consumer.ts';
import { FakeConsumer } from './fake-consumer.ts';

function setUp(options: Partial<SupervisedConsumerOptions> = {}) {
  const consumers: FakeConsumer[] = [];
  const kafka: Pick<KafkaClient, 'consumer'> = {
    consumer: (_settings, events) => {
      const consumer = new FakeConsumer();
      consumer.events = events;
      consumers.push(consumer);
      return consumer;
    },
  };
  const supervised = new SupervisedConsumer({
    kafka,
    settings: { group: 'g', fetchWaitMs: 1 },
    topics: () => Promise.resolve(['inputs']),
    events: { assigned: () => {}, batch: () => Promise.resolve() },
    restart: { minMs: 100, maxMs: 400 },
    log: () => {},
    ...options,
  });
  return { supervised, consumers, last: () => consumers.at(-1) };
}

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

describe('SupervisedConsumer', () => {
  it('replaces a crashed consumer with doubling delays until one joins', async () => {
    const { supervised, consumers, last } = setUp();
    await supervised.start();
    const counts: number[] = [];
    for (const delayMs of [100, 200, 400, 400]) {
      last()?.events?.crashed(new Error('gone'));
      await vi.advanceTimersByTimeAsync(delayMs - 1);
      counts.push(consumers.length);
      await vi.advanceTimersByTimeAsync(1);
    }
    expect([counts, consumers.length, supervised.failure]).toEqual([[1, 2, 3, 4], 5, 'Kafka: gone']);
    last()?.assign(0);
    expect([supervised.isAssigned, supervised.failure]).toEqual([true, null]);
    last()?.events?.crashed(new Error('gone'));
    await vi.advanceTimersByTimeAsync(100);
    expect(consumers).toHaveLength(6);
    await supervised.stop();
  });

  it('ignores the events of a consumer that it replaced', async () => {
    const assigned = vi.fn<() => void>();
    const { supervised, consumers } = setUp({ events: { assigned, batch: () => Promise.resolve() } });
    await supervised.start();
    consumers[0]?.events?.crashed(new Error('gone'));
    consumers[0]?.assign(0);
    await vi.advanceTimersByTimeAsync(100);
    consumers[0]?.events?.crashed(new Error('gone again'));
    await vi.advanceTimersByTimeAsync(10_000);
    expect([assigned.mock.calls.length, consumers.length]).toEqual([0, 2]);
    await supervised.stop();
  });

  it('replaces a consumer without fetches or heartbeats after the time limit', async () => {
    const { supervised, consumers, last } = setUp({ silentMs: 5000 });
    await supervised.start();
    last()?.assign(0);
    for (let second = 0; second < 20; second += 1) {
      last()?.events?.fetched();
      await vi.advanceTimersByTimeAsync(1000);
    }
    expect(consumers).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(8000);
    expect(consumers).toHaveLength(2);
    await supervised.stop();
  });

  it('starts no consumer after it was stopped', async () => {
    const { supervised, consumers, last } = setUp();
    await supervised.start();
    last()?.events?.crashed(new Error('gone'));
    await supervised.stop();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(consumers).toHaveLength(1);
  });

  it('looks up its topics again until the lookup succeeds', async () => {
    const topics = vi.fn<() => Promise<string[]>>();
    topics.mockRejectedValueOnce(new Error('no broker')).mockResolvedValue(['inputs']);
    const { supervised, consumers } = setUp({ topics });
    await supervised.start();
    expect([consumers.length, supervised.failure]).toEqual([0, 'Kafka: no broker']);
    await vi.advanceTimersByTimeAsync(100);
    expect(consumers).toHaveLength(1);
    await supervised.stop();
  });
});
