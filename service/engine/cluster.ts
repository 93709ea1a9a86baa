import { setTimeout as wait } from 'node:timers/promises';
import { clockBehind } from '../../consumers/kafka/clock-check.ts';
import { DecisionTracker } from '../../consumers/kafka/decision-tracker.ts';
import { MappedTopics } from '../../consumers/kafka/mapped-topics.ts';
import type { Mapping } from '../../consumers/kafka/mapping.ts';
import { Membership } from '../../consumers/kafka/membership.ts';
import { PartitionOwnership } from '../../consumers/kafka/partition-ownership.ts';
import type { Time } from '../../engine/time.ts';
import type { AttemptState } from '../../events/attempt.ts';
import type { Entry } from '../../events/entries.ts';
import type { Fault } from '../../events/fault.ts';
import { WALL } from '../../events/vocabulary.ts';
import type { ReadableListener } from '../../log/kafka/replica.ts';
import { KafkaLedger, type KafkaLedgerOptions } from '../../log/kafka/ledger.ts';
import { inputsStream } from '../../log/kafka/inputs-stream.ts';
import type { KafkaLog } from '../../kafka/options.ts';
import { formatPosition } from '../../log/port.ts';
import { recordOfForeign } from '../../producers/dead-letters.ts';
import { RecordProducer } from '../../kafka/record-producer.ts';
import { type Outgoing, Relay, RELAYED } from '../../producers/kafka/relay.ts';
import { openAttempts } from '../../projections/attempts.ts';
import { directory } from '../../projections/directory.ts';
import { configuration } from '../../projections/site.ts';
import type { Part } from '../reads/parts.ts';
import { Backlog } from './backlog.ts';
import * as engine from './engine.ts';
import { WorkQueue } from '../../producers/work-queue.ts';
import { notJoined, recorded } from './outcomes.ts';
import { TopicInputs } from './topic-inputs.ts';

/**
 * One of several instances that share the partitions of a topic. It puts inputs into the topic, decides those of its own
 * partitions, and learns from the ledger what the others decided; so each can take any input, answer any read, and hand out
 * all work.
 */

export type ClusterObserver = engine.EngineObserver & {
  /** The group has shared the partitions out anew: these are ours. */
  rebalanced?: (partitions: readonly number[]) => void;
  /** A command or a dead letter was too large for its topic. */
  truncated?: (kind: Outgoing) => void;
};

export type ClusterOptions = {
  readonly ledger: Omit<KafkaLedgerOptions, 'readable' | 'committed'>;
  readonly sessionTimeoutMs: number;
  /** Topics of others to take inputs from. */
  readonly mappings?: readonly Mapping[];
  readonly time: Time;
  readonly log: KafkaLog;
  readonly observer?: ClusterObserver;
};

/** Where nothing was heard of the brokers for so long, the instance is not ready. */
const SILENT_MS = 15_000;
const REACHED_LOOK_MS = 20;

type Opened = {
  readonly ledger: KafkaLedger;
  readonly parts: readonly Part[];
  readonly decisions: readonly DecisionTracker[];
  readonly producers: Producers;
  readonly inputs: TopicInputs;
  readonly membership: Membership;
  readonly foreign: MappedTopics | null;
};

/** One each: a send that fails takes its producer along, and what leaves may fail for long where inputs do not. */
type Producers = { readonly inputs: RecordProducer; readonly leaving: RecordProducer };

export class ClusterEngine implements engine.Engine {
  readonly workQueue = new WorkQueue();
  readonly #options: ClusterOptions;
  readonly #openedAt: number;
  readonly #opened: Opened;
  readonly #backlog = new Backlog();
  #stopped = false;

  private constructor(options: ClusterOptions, ledger: KafkaLedger) {
    this.#options = options;
    this.#openedAt = options.time.now();
    const { log, sessionTimeoutMs } = options;
    const producers = { inputs: new RecordProducer(ledger.kafka), leaving: new RecordProducer(ledger.kafka) };
    const parts = Array.from({ length: ledger.partitions }, (_, partition) => {
      const file = ledger.replica(partition).ledger;
      return { partition, ledger: file, db: file.readConnection() };
    });
    const decisions = parts.map(({ partition }) => {
      const { inputPositions, checkpoints } = ledger.replica(partition);
      const stream = inputsStream(checkpoints, ledger.topics.inputs, partition);
      return new DecisionTracker(stream, inputPositions.get(stream) ?? -1);
    });
    const membership: Membership = new Membership({
      kafka: ledger.kafka,
      group: ledger.group,
      topic: ledger.topics.inputs,
      partitions: ledger.partitions,
      log,
      sessionTimeoutMs,
      open: (partition) => this.#openOwnership(partition),
      obstacle: (partition) => this.#obstacle(partition),
      rebalanced: (partitions) => options.observer?.rebalanced?.(partitions),
    });
    const foreign = this.#foreign(ledger, producers.leaving);
    const inputs = new TopicInputs({
      ledger,
      producer: producers.inputs,
      decisions,
      fault: (partition) => membership.ownerships.get(partition)?.fault ?? null,
      isStopped: () => this.#stopped,
    });
    this.#opened = { ledger, parts, decisions, producers, inputs, membership, foreign };
    this.workQueue.restore(this.#openStates());
    this.#keepHorizon();
  }

  /** @throws Fault KAFKA_…, LEDGER_…. */
  static async open(options: ClusterOptions): Promise<ClusterEngine> {
    // What becomes readable while the engine is being made is found by it in the copies.
    let heard: ReadableListener = () => {};
    const ledger = await KafkaLedger.open({ ...options.ledger, readable: (...what) => heard(...what) });
    try {
      const made = new ClusterEngine(options, ledger);
      heard = (...what) => made.#readable(...what);
      return made;
    } catch (error) {
      await ledger.close();
      throw error;
    }
  }

  get parts(): readonly Part[] {
    return this.#opened.parts;
  }

  get ledger(): KafkaLedger {
    return this.#opened.ledger;
  }

  /** The partitions that this instance decides. */
  get owned(): number[] {
    const shares = [...this.#opened.membership.ownerships.values()];
    return shares.filter(({ fault }) => fault === null).map(({ partition }) => partition);
  }

  get fault(): Fault | null {
    if (this.#stopped) return engine.stopping();
    const { membership } = this.#opened;
    const down = [...membership.ownerships.values()].find(({ fault }) => fault !== null)?.fault;
    const damaged = this.parts
      .map(({ partition }) => this.ledger.replica(partition).fault)
      .find((fault) => fault !== null);
    if (damaged !== undefined) return damaged;
    if (!this.isCopied) return engine.notReady('the ledger is being read');
    if (membership.absence !== null) return notJoined(membership.absence);
    if (down !== undefined && down !== null) return down;
    if (membership.declined !== null) return membership.declined;
    if (this.ageMs <= SILENT_MS) return null;
    const isBehind = this.lag.some(({ records }) => records > 0);
    return engine.notReady(isBehind ? 'its copy of the ledger is far behind' : 'the brokers do not answer');
  }

  /** Whether every partition's copy has once been up to date since the start. */
  get isCopied(): boolean {
    const now = this.#options.time.now();
    return this.parts.every(({ partition }) => this.#opened.inputs.isCopied(partition, now));
  }

  get ageMs(): number {
    const now = this.#options.time.now();
    const ages = this.parts.map(({ partition }) => this.ledger.ageMs(partition, now) ?? now - this.#openedAt);
    return Math.max(...ages);
  }

  get position(): string {
    return this.parts
      .map(({ partition }) => formatPosition({ partition, sequence: this.ledger.replica(partition).readableSequence }))
      .join(',');
  }

  get waiting(): number {
    const shares = [...this.#opened.membership.ownerships.values()];
    return this.#backlog.inputs + shares.reduce((sum, share) => sum + share.waiting, 0);
  }

  /** Records of the ledger that are not in the copies yet. */
  get lag(): { partition: number; records: number }[] {
    return this.parts.map(({ partition }) => ({ partition, records: this.ledger.lag(partition) }));
  }

  /** Inputs of our partitions that are not decided yet. @throws Fault KAFKA_…. */
  async inputLag(): Promise<{ partition: number; records: number }[]> {
    const { ledger, membership } = this.#opened;
    return Promise.all(
      this.owned.map(async (partition) => {
        const { inputPositions, checkpoints } = ledger.replica(partition);
        const taken = inputPositions.get(inputsStream(checkpoints, ledger.topics.inputs, partition)) ?? -1;
        return { partition, records: Math.max(0, (await membership.offsetRange(partition)).high - taken - 1) };
      }),
    );
  }

  /** Topics of others that are mapped, and not read just now. */
  get unreadTopics(): readonly string[] {
    return this.#opened.foreign?.unread ?? [];
  }

  /** Entries of our partitions whose commands and dead letters are not known to have left. */
  get relayLag(): { partition: number; records: number }[] {
    return this.owned.map((partition) => {
      const { readableSequence, checkpoints } = this.ledger.replica(partition);
      return { partition, records: Math.max(0, readableSequence - (checkpoints.get(RELAYED) ?? 0)) };
    });
  }

  async start(): Promise<void> {
    this.#opened.membership.start();
    this.#opened.foreign?.start();
    this.#options.observer?.claimed?.();
  }

  hasRoom(bytes: number): boolean {
    return this.#backlog.hasRoom(1, bytes);
  }

  async submit(
    submissions: readonly engine.Submission[],
    { clock = WALL, bytes = 0 }: engine.Submitting = {},
  ): Promise<engine.Receipt[]> {
    if (this.#stopped) throw engine.stopping();
    if (clock !== WALL) throw recorded();
    const leave = this.#backlog.enter(submissions.length, bytes);
    try {
      return await this.#opened.inputs.submit(submissions);
    } finally {
      leave();
    }
  }

  async reached(position: string, ms: number): Promise<boolean> {
    for (const deadline = this.#options.time.now() + ms; ; await wait(REACHED_LOOK_MS)) {
      if (position.split(',').every((each) => this.#hasReached(each))) return true;
      if (this.#stopped || this.#options.time.now() >= deadline) return false;
    }
  }

  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.workQueue.close();
    const { membership, producers, ledger, foreign } = this.#opened;
    await foreign?.stop();
    await membership.stop();
    await Promise.all([producers.inputs.close(), producers.leaving.close()]);
    await ledger.close();
  }

  #openOwnership(partition: number): PartitionOwnership {
    const { ledger, parts, membership } = this.#opened;
    const { time, log, observer = {} } = this.#options;
    const part = parts[partition];
    if (part === undefined) throw new RangeError(`there is no partition ${partition}`);
    return new PartitionOwnership({
      partition,
      ledger,
      streamIn: (checkpoints) => inputsStream(checkpoints, ledger.topics.inputs, partition),
      time,
      directory: () => directory(part.db),
      known: () => ledger.replica(partition),
      offsetRange: () => membership.offsetRange(partition),
      assignmentEpoch: () => membership.assignmentEpoch(partition),
      seek: (offset) => membership.ready(partition, offset),
      relay: { key: RELAYED, start: (next, carried) => this.#relay(partition, next, carried) },
      observer: {
        committed: (entries, ms) => observer.committed?.(entries, ms),
        fired: (count, ms) => observer.fired?.(count, ms),
        ready: (ready, next) => {
          log('info', 'the partition is ours', { partition: ready, next });
        },
        down: (lost, fault) => {
          log('warn', fault.message, { partition: lost, code: fault.code });
          observer.died?.(fault);
          membership.down(lost);
        },
      },
    });
  }

  #obstacle(partition: number): Fault | null {
    const part = this.parts[partition];
    const behind = part === undefined ? null : clockBehind(directory(part.db), this.#options.time.now());
    return this.ledger.replica(partition).fault ?? behind;
  }

  #foreign(ledger: KafkaLedger, producer: RecordProducer): MappedTopics | null {
    const { mappings = [], log, ledger: options } = this.#options;
    if (mappings.length === 0) return null;
    return new MappedTopics({
      kafka: ledger.kafka,
      group: `${options.prefix}.mappings`,
      mappings,
      submit: async (events) => {
        await this.submit(events);
      },
      refuse: async ({ fault, stream, offset, value }) => {
        const letter = recordOfForeign(fault, { stream, offset }, value ?? Buffer.alloc(0));
        await producer.send(ledger.topics.deadLetters, 0, [letter]);
      },
      log,
    });
  }

  #relay(partition: number, next: number, saveCheckpoint: (sequence: number) => void): Relay {
    const { ledger, producers } = this.#opened;
    const producer = producers.leaving;
    const read = (from: number) => ledger.read(partition, from);
    const { partitions, topics } = ledger;
    const { log, observer = {} } = this.#options;
    const truncated = (kind: Outgoing) => observer.truncated?.(kind);
    return new Relay({ partition, partitions, topics, producer, read, saveCheckpoint, truncated, log }, next);
  }

  #readable(...[partition, entries, head, inputPositions]: Parameters<ReadableListener>): void {
    const { decisions, ledger } = this.#opened;
    decisions[partition]?.switchStream(
      inputsStream(ledger.replica(partition).checkpoints, ledger.topics.inputs, partition),
    );
    decisions[partition]?.applyCommitted(entries, head, inputPositions);
    if (entries.length === 0) return;
    this.workQueue.committed(entries);
    this.#options.observer?.entries?.(entries, this.#opened.membership.ownerships.has(partition));
    if (entries.some((entry: Entry) => entry.configuration !== null)) this.#keepHorizon();
  }

  #keepHorizon(): void {
    for (const { partition, db } of this.parts) {
      const { dedupHorizonSeconds: seconds, dedupHorizonCount: count } = configuration(db);
      this.ledger
        .replica(partition)
        .ledger.setHorizon({ seconds, count })
        .catch((error: unknown) => this.#options.log('warn', 'the horizon could not be set', { error: String(error) }));
    }
  }

  *#openStates(): Generator<AttemptState> {
    for (const { db } of this.parts) for (const { state } of openAttempts(db)) yield state;
  }

  #hasReached(position: string): boolean {
    const match = /^(\d{1,5}):(\d{1,15})$/.exec(position);
    const partition = Number(match?.[1] ?? Number.NaN);
    if (!(partition < this.ledger.partitions)) return false;
    return this.ledger.replica(partition).readableSequence >= Number(match?.[2]);
  }
}
