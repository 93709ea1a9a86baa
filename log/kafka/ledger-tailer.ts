import type { Batch, Consumer, ConsumerConfig, ConsumerRunConfig, EachBatchPayload, Kafka } from 'kafkajs';
import { Fault } from '../../events/fault.ts';
import type { Checkpoint, InputPosition } from '../port.ts';
import { abandon, briefly, runConsumer } from '../../kafka/client.ts';
import type { Replica, OffsetLink } from './replica.ts';
import { TopicEnds } from '../../kafka/topic-ends.ts';
import { kafkaFault } from '../../kafka/faults.ts';
import { Freshness } from './freshness.ts';
import type { KafkaLog } from '../../kafka/options.ts';
import { type Progressed, recordOf } from './records.ts';
import { verifyTopicIdentity } from './topic-identity.ts';
import { Standstill } from '../../kafka/standstill.ts';

/**
 * Reads the ledger's topic into the replicas: every partition on every instance. The partitions that this instance owns are
 * left out while it does, since what it commits is at hand.
 *
 * A consumer that kafkajs gives up is built anew; it goes on where the replicas end.
 */

export type LedgerTailerOptions = {
  readonly topic: string;
  /** A group of its own: it never commits, and shares with nobody. */
  readonly group: string;
  readonly replicas: readonly Replica[];
  readonly log: KafkaLog;
  /** The topic has more than our own commits in a partition that is ours: another has it by now, or writes into it. */
  readonly overtaken: (partition: number) => void;
};

/** What is logged of a record that has no business there. */
export const FOREIGN_RECORD = 'a record that Landfall did not write is passed over';

const FETCH_WAIT_MS = 200;
/** How often the topic's ends are compared with what was read. */
const LOOK_MS = 1000;
/** How long a copy rests after a fault of its own before it takes records again. */
const RECOVER_MS = 5000;
const RESTART_MS_MIN = 200;
const RESTART_MS_MAX = 5000;
const FETCH_BYTES = 4 * 1024 * 1024;

export class LedgerTailer {
  readonly #kafka: Kafka;
  readonly #options: LedgerTailerOptions;
  readonly #owned = new Set<number>();
  /** Who waits for a claim's record to be read. */
  readonly #claims = new Map<string, () => void>();
  #consumer: Consumer | null = null;
  /** The same, once it takes orders. */
  #running: Consumer | null = null;
  #restartMs = RESTART_MS_MIN;
  #restart: NodeJS.Timeout | null = null;
  #stopped = false;
  #starting: Promise<void> = Promise.resolve();
  readonly #faultyAt = new Map<number, number>();
  readonly #ends: TopicEnds;
  readonly #freshness: Freshness;
  readonly #standstill = new Standstill();
  #look: NodeJS.Timeout | null = null;

  constructor(kafka: Kafka, options: LedgerTailerOptions) {
    this.#kafka = kafka;
    this.#options = options;
    this.#ends = new TopicEnds(kafka, options.topic);
    const { replicas, overtaken } = options;
    const isOwned = (partition: number) => this.#owned.has(partition);
    this.#freshness = new Freshness({ replicas, overtaken, isOwned, ends: () => this.#ends.now() });
  }

  /** @throws Fault KAFKA_…, LEDGER_ALTERED where the topic is not the one that was copied. */
  async start(): Promise<void> {
    const { topic, replicas } = this.#options;
    await verifyTopicIdentity(this.#kafka, topic, replicas);
    this.#starting = this.#attempt();
    await this.#starting;
    this.#lookLater();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#restart !== null) clearTimeout(this.#restart);
    if (this.#look !== null) clearTimeout(this.#look);
    await this.#ends.close();
    await briefly(this.#starting);
    if (this.#consumer !== null) await abandon(this.#consumer);
  }

  /** Records of a partition that are in the topic, but not in its copy yet. */
  lag(partition: number): number {
    return this.#freshness.lag(partition);
  }

  /** How long ago a partition's copy was last known to be up to date; null: never. */
  ageMs(partition: number, now: number): number | null {
    return this.#freshness.ageMs(partition, now);
  }

  /** A claim whose record is about to be written: `seen` resolves once it was read, and all before it is in the replica. */
  expect(claim: string): { seen: (timeoutMs: number) => Promise<void>; forget: () => void } {
    const read = Promise.withResolvers<void>();
    this.#claims.set(claim, read.resolve);
    return {
      seen: (timeoutMs) => {
        const timer = setTimeout(() => read.reject(behind()), timeoutMs);
        return read.promise.finally(() => clearTimeout(timer));
      },
      forget: () => this.#claims.delete(claim),
    };
  }

  /** The instance owns the partition now: its copy is written by its commits. */
  leaveOut(partition: number): void {
    this.#owned.add(partition);
    if (this.#running !== null) this.#pause(this.#running, partition);
  }

  takeUp(partition: number): void {
    if (this.#owned.delete(partition)) this.#goOn(partition);
  }

  /** One that is being built anew begins there by itself. */
  #goOn(partition: number): void {
    if (this.#running === null) return;
    this.#seek(this.#running, partition);
    this.#running.resume([{ topic: this.#options.topic, partitions: [partition] }]);
  }

  async #run(): Promise<void> {
    const { topic, group, replicas } = this.#options;
    const consumer = this.#kafka.consumer(consumerOf(group));
    this.#consumer = consumer;
    let hasCrashed = false;
    consumer.on(consumer.events.GROUP_JOIN, () => {
      if (!hasCrashed) this.#joined(consumer);
    });
    consumer.on(consumer.events.CRASH, ({ payload: { error } }) => {
      hasCrashed = true;
      if (this.#running === consumer) this.#leaveOff(consumer, error.message);
    });
    consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload: { partition, batchSize, lastOffset } }) => {
      // Nothing but markers, of which `#take` does not hear.
      if (batchSize === 0) this.#freshness.read(partition, Number(lastOffset));
    });
    const config: ConsumerRunConfig = {
      autoCommit: false,
      eachBatchAutoResolve: false,
      partitionsConsumedConcurrently: replicas.length,
      eachBatch: (payload) => this.#take(payload),
    };
    try {
      await runConsumer(consumer, [topic], config, () => !this.#stopped && this.#consumer === consumer);
    } catch (error) {
      throw kafkaFault(error);
    }
  }

  /**
   * Whenever the group is joined, also anew when a leader has moved, kafkajs forgets where it was, and would begin at the
   * topic's beginning: each copy says where it ends before the next fetch.
   */
  #joined(consumer: Consumer): void {
    if (this.#stopped || this.#consumer !== consumer) return;
    for (const { partition, fault } of this.#options.replicas) {
      if (this.#owned.has(partition) || fault !== null) this.#pause(consumer, partition);
      else this.#seek(consumer, partition);
    }
    this.#running = consumer;
    this.#restartMs = RESTART_MS_MIN;
  }

  #leaveOff(consumer: Consumer, error: string): void {
    this.#running = null;
    this.#standstill.reset();
    this.#options.log('warn', 'the ledger is no longer followed: the consumer is built anew', { error });
    this.#restartLater(consumer);
  }

  /** A group that cannot be joined yet is joined later: reads are answered meanwhile, with their age. */
  async #attempt(): Promise<void> {
    try {
      await this.#run();
    } catch (error) {
      this.#options.log('warn', 'the ledger cannot be followed yet', { error: String(error) });
      if (this.#consumer !== null) this.#restartLater(this.#consumer);
    }
  }

  #seek(consumer: Consumer, partition: number): void {
    const offset = this.#options.replicas[partition]?.offset ?? 0;
    consumer.seek({ topic: this.#options.topic, partition, offset: String(offset) });
  }

  #pause(consumer: Consumer, partition: number): void {
    consumer.pause([{ topic: this.#options.topic, partitions: [partition] }]);
  }

  #restartLater(consumer: Consumer): void {
    if (this.#stopped || this.#consumer !== consumer || this.#restart !== null) return;
    this.#restart = setTimeout(() => {
      this.#restart = null;
      this.#starting = abandon(consumer).then(() => (this.#stopped ? undefined : this.#attempt()));
    }, this.#restartMs);
    this.#restartMs = Math.min(this.#restartMs * 2, RESTART_MS_MAX);
  }

  async #take(payload: EachBatchPayload): Promise<void> {
    const { batch } = payload;
    const { partition } = batch;
    const replica = this.#options.replicas[partition];
    const last = batch.messages.at(-1);
    // A partition that was left out since is taken up again from its copy's end.
    if (replica === undefined || last === undefined || payload.isStale() || this.#owned.has(partition)) return;
    const { links, progressed, claims } = this.#recordsIn(batch);
    try {
      await replica.take({ links, ...progressed, offset: Number(last.offset) });
    } catch (error) {
      // It stands still and says why (`replica.fault`), while the others go on.
      this.#options.log('error', 'a partition of the ledger cannot be followed', { partition, error: String(error) });
      if (this.#running !== null) this.#pause(this.#running, partition);
      return;
    }
    payload.resolveOffset(last.offset);
    this.#freshness.read(partition, Number(batch.lastOffset()));
    for (const claim of claims) this.#claims.get(claim)?.();
    await payload.heartbeat();
  }

  #recordsIn({ partition, messages }: Batch): { links: OffsetLink[]; progressed: Progressed; claims: string[] } {
    const links: OffsetLink[] = [];
    const positions = new Map<string, InputPosition>();
    const checkpoints = new Map<string, Checkpoint>();
    const claims: string[] = [];
    for (const message of messages) {
      const record = recordOf(partition, message);
      if (record.kind === 'claim') claims.push(record.claim);
      else if (record.kind === 'foreign') this.#noteForeign(partition, message.offset, record.reason);
      else {
        for (const position of record.progressed.inputPositions) positions.set(position.stream, position);
        for (const checkpoint of record.progressed.checkpoints) checkpoints.set(checkpoint.key, checkpoint);
      }
      if (record.kind === 'entry') links.push({ ...record.link, offset: Number(message.offset) });
    }
    const progressed = { inputPositions: [...positions.values()], checkpoints: [...checkpoints.values()] };
    return { links, progressed, claims };
  }

  #noteForeign(partition: number, offset: string, reason: string): void {
    this.#options.log('warn', FOREIGN_RECORD, { partition, offset, reason });
  }

  #lookLater(): void {
    if (this.#stopped) return;
    this.#look = setTimeout(() => {
      const unknown = (error: unknown) =>
        this.#options.log('debug', 'the ends of the ledger are not known', { error: String(error) });
      const freshness = this.#freshness.look().then(() => this.#lookForStandstill(), unknown);
      void Promise.all([freshness, this.#recover()]).finally(() => this.#lookLater());
    }, LOOK_MS);
    this.#look.unref();
  }

  /** Records that are in the topic must come. */
  #lookForStandstill(): void {
    const behind = new Map<number, number>();
    for (const { partition, fault, offset } of this.#options.replicas)
      if (this.lag(partition) > 0 && fault === null && !this.#owned.has(partition)) behind.set(partition, offset ?? -1);
    const still = this.#standstill.look(behind, Date.now());
    const consumer = this.#running;
    if (still.length > 0 && consumer !== null)
      this.#leaveOff(consumer, `nothing is delivered of partitions ${still.join(', ')}`);
  }

  /** A full disk may have room again. */
  async #recover(): Promise<void> {
    for (const replica of this.#options.replicas) {
      const { partition, fault } = replica;
      const since = this.#faultyAt.get(partition) ?? Date.now();
      if (fault === null) this.#faultyAt.delete(partition);
      else this.#faultyAt.set(partition, since);
      if (fault === null || this.#owned.has(partition) || Date.now() - since < RECOVER_MS) continue;
      this.#faultyAt.delete(partition);
      if (await replica.recover()) this.#goOn(partition);
    }
  }
}

function consumerOf(groupId: string): ConsumerConfig {
  return {
    groupId,
    readUncommitted: false,
    maxWaitTimeInMs: FETCH_WAIT_MS,
    maxBytesPerPartition: FETCH_BYTES,
    sessionTimeout: 30_000,
    heartbeatInterval: 3000,
    allowAutoTopicCreation: false,
    retry: { restartOnFailure: () => Promise.resolve(false) },
  };
}

function behind(): Fault {
  const remedy = 'It is tried again; see the lag in /metrics.';
  return new Fault('LEDGER_FAILED', 'the ledger’s tail could not be read in time', remedy);
}
