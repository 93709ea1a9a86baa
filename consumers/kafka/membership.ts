import { Fault } from '../../events/fault.ts';
import type { KafkaLog } from '../../kafka/options.ts';
import type { BatchProgress, FetchedBatch, KafkaClient } from '../../kafka/port.ts';
import { SupervisedConsumer } from '../../kafka/supervised-consumer.ts';
import { TopicEnds } from '../../kafka/topic-ends.ts';
import { DeclinedPartitions } from './declined-partitions.ts';
import { fetchedOf } from './fetched-batch.ts';
import type { OffsetRange } from './offset-range.ts';
import type { PartitionOwnership } from './partition-ownership.ts';
import type { Limit } from './pending-inputs.ts';

/**
 * Membership in the consumer group that shares the partitions of the topic of inputs. The instance opens an ownership for each
 * assigned partition, and stops it when the group assigns the partition to another instance. A partition delivers inputs only
 * after its ownership has named the first offset, and pauses while too many of its inputs are undecided.
 *
 * The assignment does not protect the ledger from two owners; transactions do. A member that does not know yet that it has lost
 * a partition is fenced and can commit nothing.
 */

export type MembershipOptions = {
  readonly kafka: Pick<KafkaClient, 'admin' | 'consumer'>;
  readonly group: string;
  readonly topic: string;
  readonly partitions: number;
  readonly log: KafkaLog;
  readonly sessionTimeoutMs: number;
  /** Opens the ownership of an assigned partition, which then calls `ready` and `down`. */
  readonly open: (partition: number) => PartitionOwnership;
  /** A fault that keeps only this instance from deciding a partition; null if there is none. */
  readonly obstacle: (partition: number) => Fault | null;
  readonly rebalanced?: (partitions: readonly number[]) => void;
};

/** The undecided inputs of a partition: the limit bounds the memory and still keeps the next batch at hand. */
const UNDECIDED_MAX: Limit = { inputs: 4096, bytes: 16 * 1024 * 1024 };
const FETCH_BYTES = 2 * 1024 * 1024;
const FETCH_WAIT_MS = 100;
const RESTART = { minMs: 200, maxMs: 5000 };
const OBSTACLE_CHECK_MS = 1000;

export class Membership {
  readonly #options: MembershipOptions;
  readonly #ownerships = new Map<number, PartitionOwnership>();
  readonly #leaving = new Map<number, Promise<void>>();
  readonly #consumer: SupervisedConsumer;
  readonly #ends: TopicEnds;
  readonly #declining: DeclinedPartitions;
  #obstacleChecks: NodeJS.Timeout | null = null;
  #isStopped = false;
  /** The partitions of the current assignment; empty during a rebalance. */
  #assigned: ReadonlySet<number> = new Set();
  #assignmentEpoch = 0;

  constructor(options: MembershipOptions) {
    this.#options = options;
    this.#ends = new TopicEnds(options.kafka, options.topic);
    this.#declining = new DeclinedPartitions(options.obstacle);
    this.#consumer = this.#superviseConsumer();
  }

  #superviseConsumer(): SupervisedConsumer {
    const { kafka, group, topic, partitions, sessionTimeoutMs, log } = this.#options;
    return new SupervisedConsumer({
      kafka,
      settings: {
        group,
        sessionTimeoutMs,
        fetchWaitMs: FETCH_WAIT_MS,
        fetchBytes: FETCH_BYTES,
        concurrency: partitions,
        declined: () => this.#declining.partitions,
      },
      topics: () => Promise.resolve([topic]),
      events: {
        assigned: (assignment) => this.#assignedAgain(assignment.get(topic) ?? []),
        heartbeat: () => {
          this.#assignmentEpoch += 1;
        },
        rebalancing: () => {
          this.#assigned = new Set();
        },
        passed: (partition, next) => this.#ownerships.get(partition)?.skipTo(next),
        batch: (batch, progress) => this.#deliver(batch, progress),
      },
      restart: RESTART,
      behind: () => this.#undelivered(),
      log,
    });
  }

  /** Why this instance is not a member of the group; null if it is a member and has an assignment. */
  get absence(): string | null {
    if (this.#consumer.isAssigned) return null;
    return this.#consumer.failure ?? 'the group has not assigned the partitions yet';
  }

  /** Why this instance declines a partition; null if it declines none. */
  get declined(): Fault | null {
    return this.#declining.fault;
  }

  get ownerships(): ReadonlyMap<number, PartitionOwnership> {
    return this.#ownerships;
  }

  /** Begins to join the group, which is repeated until it succeeds; `absence` names the reason meanwhile. */
  start(): void {
    void this.#consumer.start();
    this.#obstacleChecks = setInterval(() => this.#declineOnObstacle(), OBSTACLE_CHECK_MS);
  }

  /** Stops the ownerships, so that their partitions are settled for the next owners, and then leaves the group. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    if (this.#obstacleChecks !== null) clearInterval(this.#obstacleChecks);
    this.#pause([...this.#ownerships.keys()]);
    await Promise.all([...this.#ownerships.keys()].map((partition) => this.#leave(partition)));
    await this.#consumer.stop();
    await this.#ends.close();
  }

  /** Delivers the inputs of an owned partition from the offset `next` on. */
  ready(partition: number, next: number): void {
    const { topic } = this.#options;
    if (!this.#ownerships.has(partition)) return;
    this.#consumer.order((consumer) => {
      consumer.seek(topic, partition, next);
      consumer.resume(topic, [partition]);
    });
  }

  /** Delivers nothing of a partition until `ready` is called for it. */
  down(partition: number): void {
    this.#pause([partition]);
  }

  /** Returns the offsets that the topic holds for a partition. @throws Fault KAFKA_… if the brokers do not answer. */
  async offsetRange(partition: number): Promise<OffsetRange> {
    const range = (await this.#ends.ranges()).get(partition);
    if (range !== undefined) return range;
    const remedy = 'Check whether the topic is being created again; the question is repeated.';
    throw new Fault('KAFKA_NO_TOPIC', `${this.#options.topic} has no partition ${partition}`, remedy);
  }

  /**
   * Returns a number that rises each time the group confirms the assignment of the partition; null while it is not
   * assigned.
   */
  assignmentEpoch(partition: number): number | null {
    return this.#consumer.isAssigned && this.#assigned.has(partition) ? this.#assignmentEpoch : null;
  }

  #assignedAgain(assigned: readonly number[]): void {
    if (this.#isStopped) return;
    this.#assignmentEpoch += 1;
    this.#assigned = new Set(assigned);
    // A partition delivers nothing before its ownership has named the first offset.
    this.#pause(assigned.filter((partition) => this.#ownerships.get(partition)?.fault !== null));
    for (const [partition, ownership] of this.#ownerships) {
      if (this.#assigned.has(partition)) ownership.verifyTopic();
      else void this.#leave(partition);
    }
    for (const partition of assigned) if (!this.#ownerships.has(partition)) void this.#enter(partition);
    this.#options.rebalanced?.(assigned);
  }

  async #enter(partition: number): Promise<void> {
    await this.#leaving.get(partition);
    // The group may have taken the partition away while its earlier ownership was stopping.
    if (this.#isStopped || this.#ownerships.has(partition) || !this.#assigned.has(partition)) return;
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
    this.#consumer.order((consumer) => consumer.pause(this.#options.topic, partitions));
  }

  async #deliver(batch: FetchedBatch, progress: BatchProgress): Promise<void> {
    const ownership = this.#ownerships.get(batch.partition);
    const last = batch.records.at(-1);
    if (ownership === undefined || ownership.fault !== null || last === undefined || progress.isStale()) return;
    if (!ownership.deliver(fetchedOf(batch, this.#options.partitions, ownership.stream))) return;
    progress.resolve(last.offset);
    if (ownership.isFull(UNDECIDED_MAX)) this.#pauseUntilRoom(ownership);
    await progress.heartbeat();
  }

  /** Pauses one partition. If `#deliver` waited instead, all partitions on the same broker would wait. */
  #pauseUntilRoom(ownership: PartitionOwnership): void {
    const { partition } = ownership;
    this.#pause([partition]);
    void ownership.waitForRoom(UNDECIDED_MAX).then(() => {
      // An ownership with a fault calls `ready` once the fault is over.
      if (this.#ownerships.get(partition) !== ownership || ownership.fault !== null) return;
      this.#consumer.order((consumer) => consumer.resume(this.#options.topic, [partition]));
    });
  }

  /** Joins the group again if the declined partitions have changed, because a member names them when it joins. */
  #declineOnObstacle(): void {
    if (this.#isStopped || !this.#consumer.isAssigned) return;
    const down = [...this.#ownerships].filter(([, { fault }]) => fault !== null).map(([partition]) => partition);
    if (!this.#declining.look(down, Date.now())) return;
    const { partitions, fault } = this.#declining;
    this.#options.log('warn', 'the declined partitions have changed; joining the group again', {
      partitions,
      code: fault?.code ?? null,
    });
    this.#consumer.rejoin();
  }

  /** Returns the owned partitions whose topic has more inputs than were read, each with the offset reached. */
  async #undelivered(): Promise<Map<number, number>> {
    const ranges = await this.#ends.ranges();
    const behind = new Map<number, number>();
    for (const [partition, { readUntil }] of this.#ownerships)
      if (readUntil !== null && readUntil < (ranges.get(partition)?.high ?? 0)) behind.set(partition, readUntil);
    return behind;
  }
}
