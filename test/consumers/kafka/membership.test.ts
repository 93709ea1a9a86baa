import type { Consumer, ConsumerConfig, ConsumerRunConfig, EachBatchPayload, Kafka } from 'kafkajs';
import { expect, it, onTestFinished, vi } from 'vitest';
import { Membership } from '../../../consumers/kafka/membership.ts';
import { Fault } from '../../../events/fault.ts';
import type { PartitionOwnership } from '../../../consumers/kafka/partition-ownership.ts';
import kafkajs from '../../../kafka/kafkajs.ts';
import { turns } from '../../support/hand-time.ts';

/** What the group gives is opened once it is ours, and only while it is. */

const EVENTS = ['GROUP_JOIN', 'HEARTBEAT', 'REBALANCING', 'CRASH', 'END_BATCH_PROCESS'] as const;

/** A consumer whose group the test plays. */
class HandConsumer {
  readonly events = Object.fromEntries(EVENTS.map((name) => [name, name]));
  readonly orders: string[] = [];
  readonly #listeners = new Map<string, Set<(event: { payload: unknown }) => void>>();
  #eachBatch: ConsumerRunConfig['eachBatch'];

  on(event: string, listener: (event: { payload: unknown }) => void): () => void {
    const all = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, all.add(listener));
    return () => all.delete(listener);
  }
  tell(event: (typeof EVENTS)[number], payload: unknown = {}): void {
    for (const listener of this.#listeners.get(event) ?? []) listener({ payload });
  }
  give(...partitions: readonly number[]): void {
    this.tell('GROUP_JOIN', { memberAssignment: { inputs: partitions } });
  }
  async connect(): Promise<void> {}
  async subscribe(): Promise<void> {}
  async run({ eachBatch }: ConsumerRunConfig): Promise<void> {
    this.#eachBatch = eachBatch;
  }
  /** One record was fetched. @returns when the client may fetch on. */
  async fetched(partition: number, offset: number): Promise<void> {
    const message = { offset: String(offset), key: null, value: null };
    const batch = {
      partition,
      messages: [message],
      highWatermark: String(offset + 1),
      firstOffset: () => message.offset,
      lastOffset: () => message.offset,
    };
    const payload = { batch, isStale: () => false, resolveOffset: () => {}, heartbeat: async () => {} };
    await this.#eachBatch?.(payload as unknown as EachBatchPayload);
  }
  async disconnect(): Promise<void> {}
  seek({ partition, offset }: { partition: number; offset: string }): void {
    this.orders.push(`seek ${partition} ${offset}`);
  }
  pause([{ partitions }]: [{ partitions: readonly number[] }]): void {
    this.orders.push(`pause ${partitions.join()}`);
  }
  resume([{ partitions }]: [{ partitions: readonly number[] }]): void {
    this.orders.push(`resume ${partitions.join()}`);
  }
}

/** A share that ends when it is told to. */
class HandShare {
  readonly partition: number;
  /** Set: it has no room before this resolves. */
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

/** What a consumer that joins says that it declines. */
function declinedBy({ partitionAssigners = [] }: ConsumerConfig): unknown {
  const [assigner] = partitionAssigners;
  const protocol = assigner?.({ cluster: null as never, groupId: 'g', logger: null as never }).protocol({ topics: [] });
  const { MemberMetadata } = kafkajs.AssignerProtocol;
  const said = MemberMetadata.decode(protocol?.metadata ?? Buffer.alloc(0))?.userData.toString() ?? 'null';
  return (JSON.parse(said) as { declined: unknown }).declined;
}

async function setUp(obstacle: (partition: number) => Fault | null = () => null) {
  const consumer = new HandConsumer();
  const opened: { partition: number; share: HandShare }[] = [];
  const ends = [{ partition: 0, low: '2', high: '9', offset: '9' }];
  const admin = { connect: async () => {}, disconnect: async () => {}, fetchTopicOffsets: async () => ends };
  const joined: unknown[] = [];
  const kafka = {
    consumer: (config: ConsumerConfig) => {
      joined.push(declinedBy(config));
      return consumer as unknown as Consumer;
    },
    admin: () => admin,
  } as unknown as Kafka;
  const open = (partition: number) => {
    const share = new HandShare(partition);
    opened.push({ partition, share });
    return share as unknown as PartitionOwnership;
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
  return { membership, consumer, opened, joins: () => joined, owned: () => [...membership.ownerships.keys()] };
}

it('opens what is given, ends what is taken, and keeps the rest', async () => {
  const { consumer, opened, owned } = await setUp();
  consumer.give(0, 1);
  await turns();
  consumer.give(1, 2);
  await turns();
  expect(owned()).toEqual([1, 2]);
  expect(opened.map(({ partition, share }) => [partition, share.isStopped])).toEqual([
    [0, true],
    [1, false],
    [2, false],
  ]);
});

it('does not open what was taken away again while it was being left', async () => {
  const { consumer, opened, owned } = await setUp();
  consumer.give(0);
  await turns();
  consumer.give();
  consumer.give(0);
  consumer.give();
  opened[0]?.share.stopping.resolve();
  await turns();
  expect([owned(), opened.length]).toEqual([[], 1]);
  consumer.give(0);
  await turns();
  expect([owned(), opened.length]).toEqual([[0], 2]);
});

it('knows the word of the group: from its members only, of what it gave, and not while it shares out', async () => {
  const { membership, consumer } = await setUp();
  expect([membership.assignmentEpoch(0), membership.absence]).toEqual([null, expect.any(String)]);
  consumer.give(0);
  const first = membership.assignmentEpoch(0);
  expect([typeof first, membership.assignmentEpoch(1)]).toEqual(['number', null]);
  consumer.tell('HEARTBEAT');
  expect(membership.assignmentEpoch(0)).toBeGreaterThan(first ?? 0);
  consumer.tell('REBALANCING');
  expect(membership.assignmentEpoch(0)).toBe(null);
  consumer.give(0);
  expect(membership.assignmentEpoch(0)).not.toBe(null);
  consumer.tell('CRASH', { error: new Error('the coordinator is gone') });
  expect([membership.assignmentEpoch(0), membership.absence]).toEqual([null, 'the coordinator is gone']);
  await membership.stop();
});

it('delivers from where a share says, and nothing while it takes nothing', async () => {
  const { membership, consumer } = await setUp();
  consumer.give(0);
  await turns();
  membership.ready(0, 17);
  membership.down(0);
  membership.ready(3, 1);
  expect(consumer.orders).toEqual(['pause 0', 'seek 0 17', 'resume 0', 'pause 0']);
});

it('holds a partition back while it is full, and fetches on of the others', async () => {
  const { consumer, opened } = await setUp();
  consumer.give(0, 1);
  await turns();
  consumer.orders.length = 0;
  const [full, down] = opened.map(({ share }) => share);
  if (full === undefined || down === undefined) throw new Error('they were not opened');
  full.full = Promise.withResolvers();
  down.full = Promise.withResolvers();
  await consumer.fetched(0, 5);
  await consumer.fetched(1, 5);
  expect(consumer.orders).toEqual(['pause 0', 'pause 1']);
  // It says itself when it goes on, and from where.
  down.fault = new Fault('NOT_READY', 'it is claimed', 'Wait.');
  full.full.resolve();
  down.full.resolve();
  await turns();
  expect(consumer.orders).toEqual(['pause 0', 'pause 1', 'resume 0']);
});

it('joins anew without a partition that it cannot decide, and with it once it can', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'setTimeout', 'clearTimeout', 'Date'] });
  onTestFinished(() => void vi.useRealTimers());
  const behind = new Fault('CLOCK_BEHIND', 'the clock is behind', 'Set it right.');
  let obstacle: Fault | null = behind;
  const { membership, consumer, opened, joins } = await setUp((partition) => (partition === 1 ? obstacle : null));
  consumer.give(0, 1);
  await turns();
  for (const { partition, share } of opened) share.fault = partition === 1 ? behind : null;
  await vi.advanceTimersByTimeAsync(4000);
  expect([joins(), membership.declined]).toEqual([[[]], null]);
  await vi.advanceTimersByTimeAsync(4000);
  await turns();
  expect([joins(), membership.declined]).toEqual([[[], [1]], behind]);
  consumer.give(0);
  await turns();
  expect([...membership.ownerships.keys()]).toEqual([0]);
  obstacle = null;
  await vi.advanceTimersByTimeAsync(20_000);
  await turns();
  expect([joins(), membership.declined]).toEqual([[[], [1], []], null]);
  for (const { share } of opened) share.stopping.resolve();
  await membership.stop();
});

it('builds a consumer anew that delivers nothing of what the topic has', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'setTimeout', 'clearTimeout', 'Date'] });
  onTestFinished(() => void vi.useRealTimers());
  const { membership, consumer, opened, joins } = await setUp();
  consumer.give(0);
  await turns();
  const share = opened[0]?.share;
  if (share === undefined) throw new Error('no share');
  const pass = async (ms: number) => {
    await vi.advanceTimersByTimeAsync(ms);
    await turns();
  };
  share.readUntil = 9;
  await pass(30_000);
  share.readUntil = null;
  await pass(30_000);
  share.readUntil = 5;
  await pass(8000);
  share.readUntil = 8;
  await pass(8000);
  expect([joins().length, membership.absence]).toEqual([1, null]);
  await pass(8000);
  expect([joins().length, membership.absence]).toEqual([2, 'nothing is delivered of partitions 0']);
  share.stopping.resolve();
  await membership.stop();
});

it('says what the topic holds, and does not guess where it has no such partition', async () => {
  const { membership } = await setUp();
  expect(await membership.offsetRange(0)).toEqual({ low: 2, high: 9 });
  await expect(membership.offsetRange(1)).rejects.toMatchObject({ code: 'KAFKA_NO_TOPIC' });
});
