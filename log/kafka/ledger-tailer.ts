import { Fault } from '../../events/fault.ts';
import type { KafkaLog } from '../../kafka/options.ts';
import type { BatchProgress, FetchedBatch, KafkaClient } from '../../kafka/port.ts';
import { SupervisedConsumer } from '../../kafka/supervised-consumer.ts';
import { TopicEnds } from '../../kafka/topic-ends.ts';
import type { Checkpoint, InputPosition } from '../port.ts';
import { Freshness } from './freshness.ts';
import { type Progressed, recordOf } from './records.ts';
import type { OffsetLink, Replica } from './replica.ts';
import type { ReplicaStore } from './replica-store.ts';
import { verifyTopicIdentity } from './topic-identity.ts';

/**
 * Reads the ledger's topic into the replicas. Every instance reads every partition, except the partitions that it owns: their
 * replicas are written by the owner's commits. A replaced consumer continues at the end of each replica.
 */

export type LedgerTailerOptions = {
  readonly topic: string;
  /** A group with this tailer as its only member; it commits no offsets. */
  readonly group: string;
  readonly replicas: readonly Replica<ReplicaStore>[];
  readonly log: KafkaLog;
  /** Called when an owned partition has more records than this instance committed: another owner has written to it. */
  readonly overtaken: (partition: number) => void;
};

/** The log message of a record without a valid Landfall header. */
export const FOREIGN_RECORD = 'skipped a record that Landfall did not write';

const FETCH_WAIT_MS = 200;
const FETCH_BYTES = 4 * 1024 * 1024;
const RESTART = { minMs: 200, maxMs: 5000 };
/** The interval between comparisons of the topic's ends with the replicas. */
const CHECK_MS = 1000;
/** A replica with a fault rests for this time before it tries to take records again. */
const RECOVER_MS = 5000;

export class LedgerTailer {
  readonly #kafka: Pick<KafkaClient, 'admin' | 'consumer'>;
  readonly #options: LedgerTailerOptions;
  readonly #consumer: SupervisedConsumer;
  readonly #owned = new Set<number>();
  /** The claims whose records are awaited, by the id of the claim. */
  readonly #claims = new Map<string, () => void>();
  readonly #faultSince = new Map<number, number>();
  readonly #ends: TopicEnds;
  readonly #freshness: Freshness;
  #check: NodeJS.Timeout | null = null;
  #isStopped = false;

  constructor(kafka: Pick<KafkaClient, 'admin' | 'consumer'>, options: LedgerTailerOptions) {
    this.#kafka = kafka;
    this.#options = options;
    this.#ends = new TopicEnds(kafka, options.topic);
    const { replicas, overtaken } = options;
    const isOwned = (partition: number) => this.#owned.has(partition);
    this.#freshness = new Freshness({ replicas, overtaken, isOwned, ends: () => this.#ends.ends() });
    this.#consumer = this.#superviseConsumer();
  }

  #superviseConsumer(): SupervisedConsumer {
    const { topic, group, replicas, log } = this.#options;
    return new SupervisedConsumer({
      kafka: this.#kafka,
      settings: { group, fetchWaitMs: FETCH_WAIT_MS, fetchBytes: FETCH_BYTES, concurrency: replicas.length },
      topics: () => Promise.resolve([topic]),
      events: {
        assigned: () => this.#positionConsumer(),
        // A batch of transaction markers alone is not delivered to `#replicate`.
        passed: (partition, next, records) => (records === 0 ? this.#freshness.read(partition, next - 1) : undefined),
        batch: (batch, progress) => this.#replicate(batch, progress),
      },
      restart: RESTART,
      behind: () => Promise.resolve(this.#unreplicated()),
      log,
    });
  }

  /** Resolves after the first attempt to join the group. @throws Fault KAFKA_…, LEDGER_ALTERED if the topic is not the replicated one. */
  async start(): Promise<void> {
    const { topic, replicas } = this.#options;
    await verifyTopicIdentity(this.#kafka, topic, replicas);
    await this.#consumer.start();
    this.#checkLater();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    if (this.#check !== null) clearTimeout(this.#check);
    await this.#ends.close();
    await this.#consumer.stop();
  }

  /** Returns the number of records that the topic has and the replica of the partition lacks. */
  lag(partition: number): number {
    return this.#freshness.lag(partition);
  }

  /** Returns the time since the replica of a partition was last known to be complete; null if it never was. */
  ageMs(partition: number, now: number): number | null {
    return this.#freshness.ageMs(partition, now);
  }

  /**
   * Awaits the record of a claim that is about to be written.
   * @returns `seen` resolves once the record was read and everything before it is in the replica, or rejects after its time limit.
   */
  expect(claim: string): { seen: (timeoutMs: number) => Promise<void>; forget: () => void } {
    const read = Promise.withResolvers<void>();
    this.#claims.set(claim, read.resolve);
    return {
      seen: (timeoutMs) => {
        const timer = setTimeout(() => read.reject(tailNotRead(timeoutMs)), timeoutMs);
        return read.promise.finally(() => clearTimeout(timer));
      },
      forget: () => this.#claims.delete(claim),
    };
  }

  /** Stops reading a partition that this instance owns. */
  leaveOut(partition: number): void {
    this.#owned.add(partition);
    this.#pause(partition);
  }

  /** Reads a partition that this instance no longer owns. */
  takeUp(partition: number): void {
    if (this.#owned.delete(partition)) this.#resume(partition);
  }

  /** Continues at the end of the replica; a new consumer continues there once it has joined. */
  #resume(partition: number): void {
    const { topic } = this.#options;
    this.#consumer.order((consumer) => {
      consumer.seek(topic, partition, this.#nextOffset(partition));
      consumer.resume(topic, [partition]);
    });
  }

  #pause(partition: number): void {
    this.#consumer.order((consumer) => consumer.pause(this.#options.topic, [partition]));
  }

  /**
   * Returns the offset where reading continues. The last replicated record is read again and compared with the replica.
   */
  #nextOffset(partition: number): number {
    return this.#options.replicas[partition]?.offset ?? 0;
  }

  /** kafkajs forgets its position at each rebalance and would begin at offset 0, so each partition is positioned again. */
  #positionConsumer(): void {
    if (this.#isStopped) return;
    const { topic, replicas } = this.#options;
    for (const { partition, fault } of replicas) {
      if (this.#owned.has(partition) || fault !== null) this.#pause(partition);
      else this.#consumer.order((consumer) => consumer.seek(topic, partition, this.#nextOffset(partition)));
    }
  }

  async #replicate(batch: FetchedBatch, progress: BatchProgress): Promise<void> {
    const { partition } = batch;
    const replica = this.#options.replicas[partition];
    const last = batch.records.at(-1);
    // A partition that was owned meanwhile continues at the end of its replica.
    if (replica === undefined || last === undefined || progress.isStale() || this.#owned.has(partition)) return;
    const { links, progressed, claims } = this.#decode(batch);
    try {
      await replica.take({ links, ...progressed, offset: last.offset });
    } catch (error) {
      // The replica keeps the fault (`replica.fault`); the remaining partitions continue.
      this.#options.log('error', 'a replica cannot take records', { partition, error: String(error) });
      this.#pause(partition);
      return;
    }
    progress.resolve(last.offset);
    this.#freshness.read(partition, batch.next - 1);
    for (const claim of claims) this.#claims.get(claim)?.();
    await progress.heartbeat();
  }

  #decode({ partition, records }: FetchedBatch): {
    links: OffsetLink[];
    progressed: Progressed;
    claims: string[];
  } {
    const links: OffsetLink[] = [];
    const positions = new Map<string, InputPosition>();
    const checkpoints = new Map<string, Checkpoint>();
    const claims: string[] = [];
    for (const fetched of records) {
      const { offset } = fetched;
      const record = recordOf(partition, fetched);
      if (record.kind === 'claim') claims.push(record.claim);
      else if (record.kind === 'foreign')
        this.#options.log('warn', FOREIGN_RECORD, { partition, offset, reason: record.reason });
      else {
        for (const position of record.progressed.inputPositions) positions.set(position.stream, position);
        for (const checkpoint of record.progressed.checkpoints) checkpoints.set(checkpoint.key, checkpoint);
      }
      if (record.kind === 'entry') links.push({ ...record.link, offset });
    }
    const progressed = { inputPositions: [...positions.values()], checkpoints: [...checkpoints.values()] };
    return { links, progressed, claims };
  }

  #checkLater(): void {
    if (this.#isStopped) return;
    this.#check = setTimeout(() => {
      const freshness = this.#freshness
        .look()
        .catch((error: unknown) =>
          this.#options.log('debug', 'the ends of the ledger’s topic are unknown', { error: String(error) }),
        );
      void Promise.all([freshness, this.#recoverReplicas()]).finally(() => this.#checkLater());
    }, CHECK_MS);
    this.#check.unref();
  }

  /** Returns the partitions whose replica lacks records that it could take, each with the offset reached. */
  #unreplicated(): Map<number, number> {
    const behind = new Map<number, number>();
    for (const { partition, fault, offset } of this.#options.replicas)
      if (this.lag(partition) > 0 && fault === null && !this.#owned.has(partition)) behind.set(partition, offset ?? -1);
    return behind;
  }

  /** Lets a replica with a fault take records again after a rest: a full disk may have room again. */
  async #recoverReplicas(): Promise<void> {
    for (const replica of this.#options.replicas) {
      const { partition, fault } = replica;
      const since = this.#faultSince.get(partition) ?? Date.now();
      if (fault === null) this.#faultSince.delete(partition);
      else this.#faultSince.set(partition, since);
      if (fault === null || this.#owned.has(partition) || Date.now() - since < RECOVER_MS) continue;
      this.#faultSince.delete(partition);
      if (await replica.recover()) this.#resume(partition);
    }
  }
}

function tailNotRead(timeoutMs: number): Fault {
  const message = `the end of the ledger’s topic could not be read within ${timeoutMs / 1000} s`;
  return new Fault('LEDGER_FAILED', message, 'Check the lag in /metrics; the claim is repeated.');
}
