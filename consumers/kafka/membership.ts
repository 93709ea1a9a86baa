import type { Consumer, ConsumerRunConfig, EachBatchPayload, Kafka } from 'kafkajs';
import { Fault } from '../../events/fault.ts';
import { abandon, runConsumer } from '../../kafka/client.ts';
import { TopicEnds } from '../../kafka/topic-ends.ts';
import type { KafkaLog } from '../../kafka/options.ts';
import { Standstill } from '../../kafka/standstill.ts';
import { assignersOf } from '../../kafka/assigner.ts';
import { DeclinedPartitions } from './declined-partitions.ts';
import { fetchedOf } from './fetched-batch.ts';
import type { OffsetRange } from './offset-range.ts';
import type { PartitionOwnership } from './partition-ownership.ts';
import type { Limit } from './pending-inputs.ts';

/**
 * Membership in the group that shares the partitions. What the group gives is claimed; what it takes away is given up. A
 * partition delivers nothing before its owner says from where on, and no more than its owner can take.
 *
 * The group's word is not what keeps two from deciding: owners are fenced by their transactions, so a member that does not
 * know yet that it has lost a partition can commit nothing.
 */

export type MembershipOptions = {
  readonly kafka: Kafka;
  readonly group: string;
  readonly topic: string;
  readonly partitions: number;
  readonly log: KafkaLog;
  readonly sessionTimeoutMs: number;
  /** Begins to own a partition. It reports `ready` and `down` by calling these. */
  readonly open: (partition: number) => PartitionOwnership;
  /** What keeps this instance, and not every one, from deciding a partition; null: nothing. */
  readonly obstacle: (partition: number) => Fault | null;
  readonly rebalanced?: (partitions: readonly number[]) => void;
};

/** Inputs of a partition that may wait for their commit: it bounds the memory, and keeps the next batch at hand. */
const WAITING_MAX: Limit = { inputs: 4096, bytes: 16 * 1024 * 1024 };
const FETCH_BYTES = 2 * 1024 * 1024;
const FETCH_WAIT_MS = 100;
const RESTART_MS_MIN = 200;
const RESTART_MS_MAX = 5000;
const LOOK_MS = 1000;
const STANDSTILL_LOOK_MS = 2000;

export class Membership {
  readonly #options: MembershipOptions;
  readonly #ownerships = new Map<number, PartitionOwnership>();
  readonly #leaving = new Map<number, Promise<void>>();
  #consumer: Consumer | null = null;
  readonly #ends: TopicEnds;
  #restartMs = RESTART_MS_MIN;
  #restart: NodeJS.Timeout | null = null;
  readonly #declining: DeclinedPartitions;
  readonly #standstill = new Standstill();
  #looks: readonly NodeJS.Timeout[] = [];
  #stopped = false;
  #isMember = false;
  /** What the group gave last. */
  #assigned: ReadonlySet<number> = new Set();
  /** How often the group said that this stands. */
  #assignmentEpoch = 0;
  #crash: string | null = null;

  constructor(options: MembershipOptions) {
    this.#options = options;
    this.#ends = new TopicEnds(options.kafka, options.topic);
    this.#declining = new DeclinedPartitions(options.obstacle);
  }

  /** Why it is no member just now; null: the group has said which partitions are ours. */
  get absence(): string | null {
    if (this.#isMember) return null;
    return this.#crash ?? 'the group has not shared the partitions out yet';
  }

  /** Why a partition is declined that might be ours; null: none is. */
  get declined(): Fault | null {
    return this.#declining.fault;
  }

  get ownerships(): ReadonlyMap<number, PartitionOwnership> {
    return this.#ownerships;
  }

  /** Joins as soon as the brokers let it: `absence` says why not yet. */
  start(): void {
    void this.#run();
    this.#looks = [
      setInterval(() => this.#lookAtObstacles(), LOOK_MS),
      setInterval(() => void this.#lookForStandstill(), STANDSTILL_LOOK_MS),
    ];
  }

  /** Gives up what is ours, in order, so that others find it settled; then leaves the group. */
  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#restart !== null) clearTimeout(this.#restart);
    for (const look of this.#looks) clearInterval(look);
    this.#pause([...this.#ownerships.keys()]);
    await Promise.all([...this.#ownerships.keys()].map((partition) => this.#leave(partition)));
    if (this.#consumer !== null) await abandon(this.#consumer);
    await this.#ends.close();
  }

  /** A share takes inputs from this offset on. */
  ready(partition: number, next: number): void {
    const { topic } = this.#options;
    if (!this.#ownerships.has(partition)) return;
    this.#order((consumer) => {
      consumer.seek({ topic, partition, offset: String(next) });
      consumer.resume([{ topic, partitions: [partition] }]);
    });
  }

  /** A share takes nothing for now. */
  down(partition: number): void {
    this.#pause([partition]);
  }

  /** Which inputs the topic holds of a partition. @throws Fault KAFKA_…: it is not known. */
  async offsetRange(partition: number): Promise<OffsetRange> {
    const held = (await this.#ends.held()).get(partition);
    if (held !== undefined) return held;
    const remedy = 'Look whether the topic is being made anew; it is asked again.';
    throw new Fault('KAFKA_NO_TOPIC', `${this.#options.topic} has no partition ${partition}`, remedy);
  }

  /** Counts how often the group said that the partition is ours; null while it does not. */
  assignmentEpoch(partition: number): number | null {
    return this.#isMember && this.#assigned.has(partition) ? this.#assignmentEpoch : null;
  }

  async #run(): Promise<void> {
    const { kafka, group, topic, partitions, sessionTimeoutMs } = this.#options;
    const consumer = kafka.consumer({
      groupId: group,
      sessionTimeout: sessionTimeoutMs,
      heartbeatInterval: Math.max(500, Math.floor(sessionTimeoutMs / 6)),
      rebalanceTimeout: 2 * sessionTimeoutMs,
      maxWaitTimeInMs: FETCH_WAIT_MS,
      maxBytesPerPartition: FETCH_BYTES,
      partitionAssigners: assignersOf(() => this.#declining.partitions),
      allowAutoTopicCreation: false,
      retry: { restartOnFailure: () => Promise.resolve(false) },
    });
    this.#consumer = consumer;
    // One that was given up may still be in the group for a while: its word is not ours.
    const whileOurs = (work: () => void) => (consumer === this.#consumer ? work() : undefined);
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) =>
      whileOurs(() => this.#joined(payload.memberAssignment[topic] ?? [])),
    );
    consumer.on(consumer.events.HEARTBEAT, () => whileOurs(() => (this.#assignmentEpoch += 1)));
    consumer.on(consumer.events.REBALANCING, () => whileOurs(() => this.#rebalancing()));
    consumer.on(consumer.events.CRASH, ({ payload: { error } }) => this.#crashed(consumer, error));
    consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload }) => {
      this.#ownerships.get(payload.partition)?.skipTo(Number(payload.lastOffset) + 1);
    });
    const config: ConsumerRunConfig = {
      autoCommit: false,
      eachBatchAutoResolve: false,
      partitionsConsumedConcurrently: partitions,
      eachBatch: (payload) => this.#take(payload),
    };
    try {
      await runConsumer(consumer, [topic], config, () => !this.#stopped && consumer === this.#consumer);
    } catch (error) {
      this.#crashed(consumer, error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** Until it is shared out anew nobody can say what is ours; what was taken is committed meanwhile. */
  #rebalancing(): void {
    this.#assigned = new Set();
  }

  #joined(assigned: readonly number[]): void {
    if (this.#stopped) return;
    this.#isMember = true;
    this.#assignmentEpoch += 1;
    this.#crash = null;
    this.#restartMs = RESTART_MS_MIN;
    const ours = new Set(assigned);
    this.#assigned = ours;
    // Nothing is delivered until its ownership says from where on.
    this.#pause(assigned.filter((partition) => this.#ownerships.get(partition)?.fault !== null));
    for (const [partition, ownership] of this.#ownerships) {
      if (ours.has(partition)) ownership.verifyTopic();
      else void this.#leave(partition);
    }
    for (const partition of ours) if (!this.#ownerships.has(partition)) void this.#enter(partition);
    this.#options.rebalanced?.(assigned);
  }

  async #enter(partition: number): Promise<void> {
    await this.#leaving.get(partition);
    // It may have been given to another while it was being left.
    if (this.#stopped || this.#ownerships.has(partition) || !this.#assigned.has(partition)) return;
    this.#ownerships.set(partition, this.#options.open(partition));
  }

  #leave(partition: number): Promise<void> {
    const ownership = this.#ownerships.get(partition);
    if (ownership === undefined) return this.#leaving.get(partition) ?? Promise.resolve();
    this.#ownerships.delete(partition);
    const left = ownership.stop().finally(() => this.#leaving.delete(partition));
    this.#leaving.set(partition, left);
    return left;
  }

  #pause(partitions: readonly number[]): void {
    if (partitions.length === 0) return;
    this.#order((consumer) => consumer.pause([{ topic: this.#options.topic, partitions: [...partitions] }]));
  }

  /**
   * One that is being built anew takes no orders: it begins at the group's offset, its shares pass over what they took already,
   * and those that take nothing are paused when it has joined.
   */
  #order(give: (consumer: Consumer) => void): void {
    if (this.#consumer === null) return;
    try {
      give(this.#consumer);
    } catch (error) {
      this.#options.log('debug', 'the consumer is not there yet', { error: String(error) });
    }
  }

  async #take(payload: EachBatchPayload): Promise<void> {
    const { partition, messages } = payload.batch;
    const ownership = this.#ownerships.get(partition);
    const last = messages.at(-1);
    if (ownership === undefined || ownership.fault !== null || last === undefined || payload.isStale()) return;
    if (!ownership.deliver(fetchedOf(payload.batch, this.#options.partitions, ownership.stream))) return;
    payload.resolveOffset(last.offset);
    if (ownership.isFull(WAITING_MAX)) this.#holdBack(ownership);
    await payload.heartbeat();
  }

  /** Only this partition waits: to keep the client waiting would keep all that it fetches from the same broker. */
  #holdBack(ownership: PartitionOwnership): void {
    const { partition } = ownership;
    this.#pause([partition]);
    void ownership.waitForRoom(WAITING_MAX).then(() => {
      // One that takes nothing just now goes on when it is ready.
      if (this.#ownerships.get(partition) !== ownership || ownership.fault !== null) return;
      this.#order((consumer) => consumer.resume([{ topic: this.#options.topic, partitions: [partition] }]));
    });
  }

  #crashed(consumer: Consumer, error: Error): void {
    if (this.#stopped || consumer !== this.#consumer || this.#restart !== null) return;
    this.#options.log('warn', 'the inputs are no longer read: the consumer is built anew', { error: error.message });
    this.#crash = error.message;
    this.#restartIn(consumer, this.#restartMs);
    this.#restartMs = Math.min(this.#restartMs * 2, RESTART_MS_MAX);
  }

  #restartIn(consumer: Consumer, ms: number): void {
    this.#isMember = false;
    this.#standstill.reset();
    this.#restart = setTimeout(() => {
      this.#restart = null;
      void this.#rebuild(consumer);
    }, ms);
  }

  /** What is declined is said when the group is joined, so it is joined anew. */
  #lookAtObstacles(): void {
    if (this.#stopped || !this.#isMember || this.#consumer === null) return;
    const down = [...this.#ownerships].filter(([, { fault }]) => fault !== null).map(([partition]) => partition);
    if (!this.#declining.look(down, Date.now())) return;
    const { partitions, fault } = this.#declining;
    this.#options.log('warn', 'other partitions are declined than before: the group is joined anew', {
      partitions,
      code: fault?.code ?? null,
    });
    this.#restartIn(this.#consumer, 0);
  }

  /** Inputs that are in the topic must come. */
  async #lookForStandstill(): Promise<void> {
    const consumer = this.#consumer;
    if (!this.#isMember || consumer === null) return;
    const held = await this.#ends.held().catch(() => new Map<number, OffsetRange>());
    const behind = new Map<number, number>();
    for (const [partition, { readUntil }] of this.#ownerships)
      if (readUntil !== null && readUntil < (held.get(partition)?.high ?? 0)) behind.set(partition, readUntil);
    const still = this.#standstill.look(behind, Date.now());
    if (still.length > 0) this.#crashed(consumer, new Error(`nothing is delivered of partitions ${still.join(', ')}`));
  }

  async #rebuild(consumer: Consumer): Promise<void> {
    this.#consumer = null;
    await abandon(consumer);
    if (this.#stopped) return;
    await this.#run();
  }
}
