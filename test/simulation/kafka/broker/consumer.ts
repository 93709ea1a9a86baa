import type {
  BatchProgress,
  ConsumerEvents,
  ConsumerSettings,
  FetchedBatch,
  KafkaConsumer,
} from '../../../../kafka/port.ts';
import type { FetchedPart, SimulatedCluster, Wanted } from './cluster.ts';
import { BrokerError } from './errors.ts';
import type { Joined } from './groups.ts';
import type { Link } from './network.ts';

type Options = {
  readonly cluster: SimulatedCluster;
  readonly link: Link;
  readonly clientId: string;
  readonly settings: ConsumerSettings;
  readonly events: ConsumerEvents;
};

const SESSION_MS = 30_000;
const CLOSE_MS = 3000;
/** Errors after which kafkajs joins the group again to learn the new leaders. */
const STALE_METADATA: ReadonlySet<string> = new Set(['NOT_LEADER_FOR_PARTITION', 'UNKNOWN_TOPIC_OR_PARTITION']);
const JOIN_AGAIN: ReadonlySet<string> = new Set(['UNKNOWN_MEMBER_ID', 'REBALANCE_IN_PROGRESS']);
const UNKNOWN_MEMBER: ReadonlySet<string> = new Set(['UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION']);

const keyOf = (topic: string, partition: number): string => `${topic}/${partition}`;

/**
 * A member of a group that behaves like kafkajs: one fetch covers all partitions, the next fetch waits until the batches are
 * handled, positions are forgotten at each join, and heartbeats are sent between batches.
 */
export class SimulatedConsumer implements KafkaConsumer {
  readonly #options: Options;
  readonly #sessionMs: number;
  readonly #positions = new Map<string, number>();
  readonly #seeks = new Map<string, number>();
  readonly #paused = new Set<string>();
  #topics: readonly string[] = [];
  #member: string | null = null;
  #joined: Joined | null = null;
  #beatAt = 0;
  #isClosed = false;
  #isStuck = false;
  #running: Promise<void> | null = null;
  #wake = () => {};
  readonly #closed = Promise.withResolvers<[]>();

  constructor(options: Options) {
    this.#options = options;
    this.#sessionMs = options.settings.sessionTimeoutMs ?? SESSION_MS;
  }

  async start(topics: readonly string[]): Promise<void> {
    this.#topics = topics;
    try {
      while (this.#joined === null && !this.#isClosed) await this.#joinOrWait();
    } catch (error) {
      this.#isClosed = true;
      throw error;
    }
    if (this.#isClosed) return this.#leave();
    this.#running = this.#run();
  }

  seek(topic: string, partition: number, offset: number): void {
    this.#seeks.set(keyOf(topic, partition), offset);
    this.#wake();
  }

  pause(topic: string, partitions: readonly number[]): void {
    for (const partition of partitions) this.#paused.add(keyOf(topic, partition));
  }

  resume(topic: string, partitions: readonly number[]): void {
    for (const partition of partitions) this.#paused.delete(keyOf(topic, partition));
    this.#wake();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#closed.resolve([]);
    this.#wake();
    if (this.#running === null) return;
    const ended = this.#running.then(() => this.#leave()).catch(() => {});
    await Promise.race([ended, this.#options.link.wait(CLOSE_MS)]);
  }

  async #leave(): Promise<void> {
    const member = this.#member;
    const { cluster, link, settings } = this.#options;
    this.#member = null;
    if (member !== null) await link.ask(() => cluster.groups.leave(settings.group, member)).catch(() => {});
  }

  async #run(): Promise<void> {
    while (!this.#isClosed) {
      try {
        if (this.#joined === null) await this.#join();
        else await this.#cycle(this.#joined);
      } catch (error) {
        if (!this.#mayContinue(error)) {
          if (!this.#isClosed) this.#options.events.crashed(error instanceof Error ? error : new Error(String(error)));
          return;
        }
      }
    }
  }

  /** Joins the group, and repeats a join that is refused during a rebalance. */
  async #joinOrWait(): Promise<void> {
    try {
      await this.#join();
    } catch (error) {
      if (!(error instanceof BrokerError) || !JOIN_AGAIN.has(error.type)) throw error;
      if (error.type === 'UNKNOWN_MEMBER_ID') this.#member = null;
    }
  }

  /** Returns true if the consumer continues after this error: kafkajs joins again after some errors and fetches again after others. */
  #mayContinue(error: unknown): boolean {
    if (!(error instanceof BrokerError)) return false;
    const wasJoined = this.#joined !== null;
    if (error.type === 'CONNECTION_CLOSED') return wasJoined;
    const isUnknown = UNKNOWN_MEMBER.has(error.type);
    const isRebalancing = error.type === 'REBALANCE_IN_PROGRESS';
    if (!isUnknown && !isRebalancing && !STALE_METADATA.has(error.type)) return false;
    this.#joined = null;
    if (isUnknown) this.#member = null;
    if (isRebalancing && wasJoined && !this.#isClosed) this.#options.events.rebalancing();
    return true;
  }

  async #join(): Promise<void> {
    const { cluster, link, clientId, settings, events } = this.#options;
    const { group, declined = () => [] } = settings;
    const topics = this.#topics;
    const request = {
      member: this.#member,
      client: clientId,
      topics,
      declined: declined(),
      sessionTimeoutMs: this.#sessionMs,
    };
    const { joined, offsets } = await link.ask(async () => {
      cluster.layouts(topics);
      const reply = await cluster.groups.join(group, request);
      return { joined: reply, offsets: this.#startsOf(reply) };
    });
    this.#member = joined.member;
    if (this.#isClosed) return;
    this.#positions.clear();
    this.#seeks.clear();
    for (const [key, offset] of offsets) this.#positions.set(key, offset);
    this.#joined = joined;
    this.#beatAt = cluster.network.now();
    events.assigned(joined.assignment);
  }

  /** Returns the offsets of the group; 0 for a partition without one. */
  #startsOf({ assignment }: Joined): Map<string, number> {
    const { cluster, settings } = this.#options;
    const starts = new Map<string, number>();
    for (const [topic, partitions] of assignment)
      for (const partition of partitions)
        starts.set(keyOf(topic, partition), cluster.groups.offset(settings.group, topic, partition) ?? 0);
    return starts;
  }

  async #cycle(joined: Joined): Promise<void> {
    const { cluster, link, events } = this.#options;
    const { network } = cluster;
    if (network.fault('consumer-crash')) throw new Error('simulated: the consumer crashed');
    if (network.fault('consumer-stuck')) this.#isStuck = true;
    const wanted = this.#wanted(joined);
    const waitMs = Math.max(1, this.#beatAt + this.#beatMs - network.now());
    if (wanted.length === 0 || this.#isStuck) {
      await this.#sleep(waitMs);
      return this.#heartbeat();
    }
    const fetched = await Promise.race([link.ask(() => cluster.fetch(wanted, waitMs)), this.#closed.promise]);
    if (network.fault('fetch-delayed')) await link.wait(network.between(10, 2000));
    if (this.#isClosed) return;
    events.fetched();
    const current = fetched.filter(({ topic, partition }) => !this.#isMoved(topic, partition));
    const concurrency = this.#options.settings.concurrency ?? 1;
    if (concurrency > 1) await Promise.all(current.map((part) => this.#handle(part)));
    else for (const part of current) await this.#handle(part);
    await this.#heartbeat();
  }

  #wanted({ assignment }: Joined): Wanted[] {
    for (const [key, offset] of this.#seeks) this.#positions.set(key, offset);
    this.#seeks.clear();
    return [...assignment].flatMap(([topic, partitions]) =>
      partitions
        .filter((partition) => !this.#paused.has(keyOf(topic, partition)))
        .map((partition) => ({ topic, partition, from: this.#positions.get(keyOf(topic, partition)) ?? 0 })),
    );
  }

  /** Waits until an order changes the wanted partitions, at most for `ms`. */
  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
      this.#options.link.after(ms, resolve);
    });
  }

  #isMoved(topic: string, partition: number): boolean {
    const key = keyOf(topic, partition);
    return this.#seeks.has(key) || this.#paused.has(key);
  }

  async #handle({ topic, partition, from, records, next, high }: FetchedPart): Promise<void> {
    if (this.#isClosed) return;
    const { events } = this.#options;
    const key = keyOf(topic, partition);
    if (records.length === 0) this.#positions.set(key, next);
    else {
      const batch: FetchedBatch = { topic, partition, records, from, next, high };
      await events.batch(batch, this.#progressOf(batch));
    }
    events.passed(partition, next, records.length);
  }

  #progressOf({ topic, partition, records, next }: FetchedBatch): BatchProgress {
    const key = keyOf(topic, partition);
    const last = records.at(-1)?.offset;
    const { network } = this.#options.cluster;
    return {
      isStale: () => this.#seeks.has(key) || this.#isClosed,
      resolve: (offset) => {
        if (!network.fault('fetch-repeated')) this.#positions.set(key, offset === last ? next : offset + 1);
      },
      heartbeat: () => this.#heartbeat(),
      commit: () => this.#commit(topic, partition),
    };
  }

  async #commit(topic: string, partition: number): Promise<void> {
    const { cluster, link, settings } = this.#options;
    const next = this.#positions.get(keyOf(topic, partition)) ?? 0;
    const [member, generation] = [this.#member ?? '', this.#joined?.generation ?? -1];
    const offset = { group: settings.group, topic, partition, next };
    await link.ask(() => cluster.groups.commit(offset, member, generation));
  }

  get #beatMs(): number {
    return Math.max(500, Math.floor(this.#sessionMs / 6));
  }

  async #heartbeat(): Promise<void> {
    const { cluster, link, settings, events } = this.#options;
    const [member, joined] = [this.#member, this.#joined];
    if (this.#isClosed || member === null || joined === null) return;
    if (cluster.network.now() < this.#beatAt + this.#beatMs) return;
    this.#beatAt = cluster.network.now();
    await link.ask(() => cluster.groups.heartbeat(settings.group, member, joined.generation));
    events.heartbeat();
  }
}
