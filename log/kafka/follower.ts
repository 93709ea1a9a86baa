import type { Consumer, EachBatchPayload, Kafka } from 'kafkajs';
import { Fault } from '../../events/fault.ts';
import type { Link } from '../chain.ts';
import type { InputPosition } from '../port.ts';
import { abandon, administer } from './client.ts';
import type { Copy } from './copy.ts';
import { TopicEnds } from './ends.ts';
import { kafkaFault } from './faults.ts';
import type { KafkaLog } from './options.ts';
import { recordOf } from './records.ts';

/**
 * Reads the ledger's topic into the copies: every partition on every instance. The partitions that this instance owns are
 * left out while it does, since what it commits is at hand.
 *
 * A consumer that kafkajs gives up is built anew; it goes on where the copies end.
 */

export type FollowerOptions = {
  readonly topic: string;
  /** A group of its own: it never commits, and shares with nobody. */
  readonly group: string;
  readonly copies: readonly Copy[];
  readonly log: KafkaLog;
};

/** What is logged of a record that has no business there. */
export const FOREIGN_RECORD = 'a record that Landfall did not write is passed over';

const FETCH_WAIT_MS = 200;
/** How often the topic's ends are compared with what was read. */
const LOOK_MS = 1000;
const RESTART_MS_MIN = 200;
const RESTART_MS_MAX = 5000;
const FETCH_BYTES = 4 * 1024 * 1024;

export class Follower {
  readonly #kafka: Kafka;
  readonly #options: FollowerOptions;
  readonly #owned = new Set<number>();
  /** Who waits for a claim's record to be read. */
  readonly #claims = new Map<string, () => void>();
  readonly #heardAt = new Map<number, number>();
  #consumer: Consumer | null = null;
  /** The same, once it takes orders. */
  #running: Consumer | null = null;
  #restartMs = RESTART_MS_MIN;
  #restart: NodeJS.Timeout | null = null;
  #stopped = false;
  #starting: Promise<void> = Promise.resolve();
  /** The last offset that was read of each partition, markers of transactions included. */
  readonly #readThrough = new Map<number, number>();
  readonly #lag = new Map<number, number>();
  readonly #ends: TopicEnds;
  #look: NodeJS.Timeout | null = null;

  constructor(kafka: Kafka, options: FollowerOptions) {
    this.#kafka = kafka;
    this.#options = options;
    this.#ends = new TopicEnds(kafka, options.topic);
  }

  /** @throws Fault KAFKA_…, LEDGER_ALTERED where the topic is not the one that was copied. */
  async start(): Promise<void> {
    await this.#requireSameTopic();
    this.#starting = this.#attempt();
    await this.#starting;
    this.#lookLater();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#restart !== null) clearTimeout(this.#restart);
    if (this.#look !== null) clearTimeout(this.#look);
    await this.#ends.close();
    await this.#starting.catch(() => {});
    if (this.#consumer !== null) await abandon(this.#consumer);
  }

  /** Records of a partition that are in the topic, but not in its copy yet. */
  lag(partition: number): number {
    return this.#owned.has(partition) ? 0 : (this.#lag.get(partition) ?? 0);
  }

  /** How long ago a partition's copy was last known to be up to date; null: never. */
  ageMs(partition: number, now: number): number | null {
    const at = this.#heardAt.get(partition);
    return at === undefined ? null : Math.max(0, now - at);
  }

  /** A claim whose record is about to be written: `seen` resolves once it was read, and all before it is in the copy. */
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
    this.#running?.pause([{ topic: this.#options.topic, partitions: [partition] }]);
  }

  takeUp(partition: number): void {
    if (!this.#owned.delete(partition) || this.#running === null) return;
    this.#seek(this.#running, partition);
    this.#running.resume([{ topic: this.#options.topic, partitions: [partition] }]);
  }

  async #run(): Promise<void> {
    const { topic, group, copies, log } = this.#options;
    const consumer = this.#kafka.consumer({
      groupId: group,
      readUncommitted: false,
      maxWaitTimeInMs: FETCH_WAIT_MS,
      maxBytesPerPartition: FETCH_BYTES,
      sessionTimeout: 30_000,
      heartbeatInterval: 3000,
      allowAutoTopicCreation: false,
      retry: { restartOnFailure: () => Promise.resolve(false) },
    });
    this.#consumer = consumer;
    const crashes: Error[] = [];
    consumer.on(consumer.events.CRASH, ({ payload: { error } }) => {
      crashes.push(error);
      if (this.#running !== consumer) return;
      this.#running = null;
      log('warn', 'the ledger is no longer followed: the consumer is built anew', { error: error.message });
      this.#restartLater(consumer);
    });
    consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload }) => {
      this.#readThrough.set(payload.partition, Number(payload.lastOffset));
    });
    try {
      await consumer.connect();
      await consumer.subscribe({ topics: [topic], fromBeginning: true });
      await consumer.run({
        autoCommit: false,
        eachBatchAutoResolve: false,
        partitionsConsumedConcurrently: copies.length,
        eachBatch: (payload) => this.#take(payload),
      });
      // It returns without an error where the group could not be joined.
      const [crash] = crashes;
      if (crash !== undefined) throw crash;
      for (const { partition } of copies) this.#seek(consumer, partition);
      for (const partition of this.#owned) consumer.pause([{ topic, partitions: [partition] }]);
      this.#running = consumer;
      this.#restartMs = RESTART_MS_MIN;
    } catch (error) {
      await abandon(consumer);
      throw kafkaFault(error);
    }
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
    const offset = this.#options.copies[partition]?.offset ?? 0;
    consumer.seek({ topic: this.#options.topic, partition, offset: String(offset) });
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
    const copy = this.#options.copies[partition];
    const last = batch.messages.at(-1);
    // A partition that was left out since is taken up again from its copy's end.
    if (copy === undefined || last === undefined || payload.isStale() || this.#owned.has(partition)) return;
    const links: Link[] = [];
    const positions = new Map<string, InputPosition>();
    const claims: string[] = [];
    for (const message of batch.messages) {
      const record = recordOf(partition, message);
      if (record.kind === 'claim') claims.push(record.claim);
      else if (record.kind === 'foreign') this.#noteForeign(partition, message.offset, record.reason);
      else for (const position of record.positions) positions.set(position.stream, position);
      if (record.kind === 'entry') links.push(record.link);
    }
    try {
      await copy.append({ links, positions: [...positions.values()], offset: Number(last.offset) });
    } catch (error) {
      // It stands still and says why (`copy.fault`), while the others go on.
      this.#options.log('error', 'a partition of the ledger cannot be followed', { partition, error: String(error) });
      this.#running?.pause([{ topic: batch.topic, partitions: [partition] }]);
      return;
    }
    payload.resolveOffset(last.offset);
    for (const claim of claims) this.#claims.get(claim)?.();
    await payload.heartbeat();
  }

  #noteForeign(partition: number, offset: string, reason: string): void {
    this.#options.log('warn', FOREIGN_RECORD, { partition, offset, reason });
  }

  #lookLater(): void {
    if (this.#stopped) return;
    this.#look = setTimeout(() => {
      void this.#compareEnds().finally(() => this.#lookLater());
    }, LOOK_MS);
    this.#look.unref();
  }

  /** What was read is up to date as of the moment when the ends were asked for. Where nobody answers, it grows older. */
  async #compareEnds(): Promise<void> {
    const now = Date.now();
    try {
      for (const [partition, end] of await this.#ends.now()) {
        // What this instance commits is in its copy at once; others may have taken the partition over, which it would hear.
        const isOwned = this.#owned.has(partition);
        const lag = isOwned ? 0 : Math.max(0, end - 1 - (this.#readThrough.get(partition) ?? -1));
        this.#lag.set(partition, lag);
        if (lag === 0) this.#heardAt.set(partition, now);
      }
    } catch (error) {
      this.#options.log('debug', 'the ends of the ledger are not known', { error: String(error) });
    }
  }

  /** An offset beyond the topic's ends would be reset without a word. */
  async #requireSameTopic(): Promise<void> {
    const { topic, copies } = this.#options;
    const ends = await administer(this.#kafka, (admin) => admin.fetchTopicOffsets(topic));
    for (const { partition, offset } of copies) {
      const end = ends.find((each) => each.partition === partition);
      if (end === undefined) throw mismatch(`${topic} has no partition ${partition}`);
      const [low, high] = [Number(end.low), Number(end.high)];
      if (offset === null ? low > 0 : offset < low) throw mismatch(`${topic}/${partition} begins at ${low} only`);
      if (offset !== null && offset >= high) throw mismatch(`${topic}/${partition} ends at ${high}`);
    }
  }
}

function mismatch(what: string): Fault {
  return new Fault(
    'LEDGER_ALTERED',
    `the topic is not the one that was copied: ${what}`,
    'Check kafkaPrefix and the retention of the topic; where the topic is right, `landfall rebuild` fetches the copy anew.',
  );
}

function behind(): Fault {
  const remedy = 'It is tried again; see the lag in /metrics.';
  return new Fault('LEDGER_FAILED', 'the ledger’s tail could not be read in time', remedy);
}
