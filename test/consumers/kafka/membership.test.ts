import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { Membership } from '../../../consumers/kafka/membership.ts';
import { Fault } from '../../../events/fault.ts';
import type { PartitionOwnership } from '../../../consumers/kafka/partition-ownership.ts';
import type { ConsumerEvents, ConsumerSettings, KafkaClient } from '../../../kafka/port.ts';
import { FakeConsumer } from '../../kafka/fake-consumer.ts';
import { turns } from '../../support/hand-time.ts';

/** An ownership that stops when the test resolves `stopping`. */
class FakeOwnership {
  readonly partition: number;
  /** If set, the ownership has no room until the promise resolves. */
  full: PromiseWithResolvers<void> | null = null;
  readonly stopping = Promise.withResolvers<void>();
  fault: Fault | null = null;
  readUntil: number | null = null;
  isStopped = false;
  constructor(partition: number) {
    this.partition = partition;
  }
  deliver(): boolean {
    return true;
  }
  isFull(): boolean {
    return this.full !== null;
  }
  async waitForRoom(): Promise<void> {
    await this.full?.promise;
  }
  verifyTopic(): void {}
  stop(): Promise<void> {
    this.isStopped = true;
    return this.stopping.promise;
  }
}

async function setUp(obstacle: (partition: number) => Fault | null = () => null) {
  const consumer = new FakeConsumer();
  const opened: { partition: number; ownership: FakeOwnership }[] = [];
  const declined: unknown[] = [];
  const admin = {
    connect: async () => {},
    close: async () => {},
    ranges: async () => new Map([[0, { low: 2, high: 9 }]]),
  };
  const kafka = {
    admin: () => admin,
    consumer: (settings: ConsumerSettings, events: ConsumerEvents) => {
      declined.push(settings.declined?.());
      consumer.events = events;
      return consumer;
    },
  } as unknown as KafkaClient;
  const open = (partition: number) => {
    const ownership = new FakeOwnership(partition);
    opened.push({ partition, ownership });
    return ownership as unknown as PartitionOwnership;
  };
  const options = {
    group: 'g',
    topic: 'inputs',
    partitions: 4,
    log: () => {},
    sessionTimeoutMs: 6000,
    obstacle,
  };
  const membership = new Membership({ ...options, kafka, open });
  membership.start();
  await turns();
  return { membership, consumer, opened, joins: () => declined, owned: () => [...membership.ownerships.keys()] };
}

describe('Membership', () => {
  it('opens assigned partitions and stops revoked partitions', async () => {
    const { consumer, opened, owned } = await setUp();
    consumer.assign(0, 1);
    await turns();
    consumer.assign(1, 2);
    await turns();
    expect(owned()).toEqual([1, 2]);
    expect(opened.map(({ partition, ownership }) => [partition, ownership.isStopped])).toEqual([
      [0, true],
      [1, false],
      [2, false],
    ]);
  });

  it('does not open a partition that is revoked during its hand-over', async () => {
    const { consumer, opened, owned } = await setUp();
    consumer.assign(0);
    await turns();
    consumer.assign();
    consumer.assign(0);
    consumer.assign();
    opened[0]?.ownership.stopping.resolve();
    await turns();
    expect([owned(), opened.length]).toEqual([[], 1]);
    consumer.assign(0);
    await turns();
    expect([owned(), opened.length]).toEqual([[0], 2]);
  });

  it('returns an assignment epoch only while the partition is assigned', async () => {
    const { membership, consumer } = await setUp();
    expect([membership.assignmentEpoch(0), membership.absence]).toEqual([null, expect.any(String)]);
    consumer.assign(0);
    const first = membership.assignmentEpoch(0);
    expect([typeof first, membership.assignmentEpoch(1)]).toEqual(['number', null]);
    consumer.events?.heartbeat();
    expect(membership.assignmentEpoch(0)).toBeGreaterThan(first ?? 0);
    consumer.events?.rebalancing();
    expect(membership.assignmentEpoch(0)).toBe(null);
    consumer.assign(0);
    expect(membership.assignmentEpoch(0)).not.toBe(null);
    consumer.events?.crashed(new Error('the coordinator is gone'));
    expect([membership.assignmentEpoch(0), membership.absence]).toEqual([null, 'Kafka: the coordinator is gone']);
    await membership.stop();
  });

  it('delivers records from the offset that PartitionOwnership requests', async () => {
    const { membership, consumer } = await setUp();
    consumer.assign(0);
    await turns();
    membership.ready(0, 17);
    membership.down(0);
    membership.ready(3, 1);
    expect(consumer.orders).toEqual(['pause 0', 'seek 0 17', 'resume 0', 'pause 0']);
  });

  it('pauses only the partition whose queue is full', async () => {
    const { consumer, opened } = await setUp();
    consumer.assign(0, 1);
    await turns();
    consumer.orders.length = 0;
    const [full, down] = opened.map(({ ownership }) => ownership);
    if (full === undefined || down === undefined) throw new Error('the partitions were not opened');
    full.full = Promise.withResolvers();
    down.full = Promise.withResolvers();
    await consumer.fetched(0, 5);
    await consumer.fetched(1, 5);
    expect(consumer.orders).toEqual(['pause 0', 'pause 1']);
    // An ownership with a fault resumes through `ready`.
    down.fault = new Fault('NOT_READY', 'it is claimed', 'Wait.');
    full.full.resolve();
    down.full.resolve();
    await turns();
    expect(consumer.orders).toEqual(['pause 0', 'pause 1', 'resume 0']);
  });

  it('declines a partition while it cannot commit decisions for it', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'setTimeout', 'clearTimeout', 'Date'] });
    onTestFinished(() => void vi.useRealTimers());
    const behind = new Fault('CLOCK_BEHIND', 'the clock is behind', 'Set it right.');
    let obstacle: Fault | null = behind;
    const { membership, consumer, opened, joins } = await setUp((partition) => (partition === 1 ? obstacle : null));
    consumer.assign(0, 1);
    await turns();
    for (const { partition, ownership } of opened) ownership.fault = partition === 1 ? behind : null;
    await vi.advanceTimersByTimeAsync(4000);
    expect([joins(), membership.declined]).toEqual([[[]], null]);
    await vi.advanceTimersByTimeAsync(4000);
    await turns();
    expect([joins(), membership.declined]).toEqual([[[], [1]], behind]);
    consumer.assign(0);
    await turns();
    expect([...membership.ownerships.keys()]).toEqual([0]);
    obstacle = null;
    await vi.advanceTimersByTimeAsync(20_000);
    await turns();
    expect([joins(), membership.declined]).toEqual([[[], [1], []], null]);
    for (const { ownership } of opened) ownership.stopping.resolve();
    await membership.stop();
  });

  it('replaces a consumer that delivers no records although more exist', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'setTimeout', 'clearTimeout', 'Date'] });
    onTestFinished(() => void vi.useRealTimers());
    const { membership, consumer, opened, joins } = await setUp();
    consumer.assign(0);
    await turns();
    const ownership = opened[0]?.ownership;
    if (ownership === undefined) throw new Error('no ownership was opened');
    const pass = async (ms: number) => {
      await vi.advanceTimersByTimeAsync(ms);
      await turns();
    };
    ownership.readUntil = 9;
    await pass(30_000);
    ownership.readUntil = null;
    await pass(30_000);
    ownership.readUntil = 5;
    await pass(8000);
    ownership.readUntil = 8;
    await pass(8000);
    expect([joins().length, membership.absence]).toEqual([1, null]);
    await pass(8000);
    expect([joins().length, membership.absence]).toEqual([2, 'nothing is delivered of partitions 0']);
    ownership.stopping.resolve();
    await membership.stop();
  });

  it('returns the offset range, or KAFKA_NO_TOPIC for an unknown partition', async () => {
    const { membership } = await setUp();
    expect(await membership.offsetRange(0)).toEqual({ low: 2, high: 9 });
    await expect(membership.offsetRange(1)).rejects.toMatchObject({ code: 'KAFKA_NO_TOPIC' });
  });
});
