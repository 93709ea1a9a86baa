import type { Consumer, ConsumerRunConfig, EachBatchPayload, Kafka, KafkaMessage } from 'kafkajs';
import { INPUT_BYTES_MAX, toInput } from '../../events/cloud-event.ts';
import { Fault } from '../../events/fault.ts';
import { requireShallow } from '../../events/nesting.ts';
import { requireForeign } from '../../events/own-source.ts';
import type { Input } from '../../events/inputs.ts';
import { sha256 } from '../../log/chain.ts';
import { abandon, administer, runConsumer } from '../../kafka/client.ts';
import { type KafkaLog, streamOf } from '../../kafka/options.ts';
import { mapped, type Mapping } from './mapping.ts';

/**
 * Takes inputs from topics of others, at least once: how far it came is committed when what was mapped is durable. What comes
 * twice is recognised by the identity of the events. Instances share the partitions.
 */

export type MappedTopicsOptions = {
  readonly kafka: Kafka;
  readonly group: string;
  readonly mappings: readonly Mapping[];
  /** Resolves once these events are durable. @throws Fault where they may not be: they come again. */
  readonly submit: (events: readonly MappedEvent[]) => Promise<void>;
  /** Resolves once the record is durable among the dead letters. */
  readonly refuse: (letter: RefusedRecord) => Promise<void>;
  readonly log: KafkaLog;
};

type RefusedRecord = {
  readonly stream: string;
  readonly offset: number;
  readonly value: Buffer | null;
  readonly fault: Fault;
};

type MappedEvent = { readonly input: Input; readonly event: unknown };

/** What a record is: null where no mapping fits. */
type Read =
  | { readonly kind: 'event'; readonly event: MappedEvent; readonly bytes: number }
  | { readonly kind: 'refused'; readonly record: RefusedRecord }
  | null;

/** A part's events go together, and those of one partition in one batch. */
const PART_RECORDS = 256;
const PART_BYTES = 512 * 1024;
const FETCH_WAIT_MS = 200;
const RETRY_MS = 1000;
/** Without a fetch and a heartbeat for so long it stands still, of which kafkajs says nothing; one part may take some seconds. */
const SILENT_MS = 60_000;
const LOOK_MS = 5000;

export class MappedTopics {
  readonly #options: MappedTopicsOptions;
  #consumer: Consumer | null = null;
  #restart: NodeJS.Timeout | null = null;
  #look: NodeJS.Timeout | null = null;
  #aliveAt = Date.now();
  #stopped = false;
  readonly #topics: readonly string[];
  #missing: readonly string[] = [];
  #isReading = false;
  #isLooking = false;
  /** Counts the starts: one that takes long is overtaken by the next. */
  #starts = 0;

  constructor(options: MappedTopicsOptions) {
    this.#options = options;
    this.#topics = [...new Set(options.mappings.map(({ topic }) => topic))];
  }

  /** Topics that a mapping names, and that are not read just now. */
  get unread(): readonly string[] {
    return this.#isReading ? this.#missing : this.#topics;
  }

  start(): void {
    this.#look ??= setInterval(() => this.#lookForLife(), LOOK_MS);
    this.#aliveAt = Date.now();
    this.#starts += 1;
    const nth = this.#starts;
    const isCurrent = () => !this.#stopped && this.#restart === null && nth === this.#starts;
    void this.#run(isCurrent).catch((error: unknown) => (isCurrent() ? this.#again(error) : undefined));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#restart !== null) clearTimeout(this.#restart);
    if (this.#look !== null) clearInterval(this.#look);
    if (this.#consumer !== null) await abandon(this.#consumer);
  }

  async #run(isCurrent: () => boolean): Promise<void> {
    const { kafka, group } = this.#options;
    const present = await this.#present();
    if (!isCurrent()) return;
    const consumer = kafka.consumer({
      groupId: group,
      maxWaitTimeInMs: FETCH_WAIT_MS,
      allowAutoTopicCreation: false,
      retry: { restartOnFailure: () => Promise.resolve(false) },
    });
    this.#consumer = consumer;
    consumer.on(consumer.events.CRASH, ({ payload }) => (isCurrent() ? this.#again(payload.error) : undefined));
    for (const event of [consumer.events.FETCH, consumer.events.HEARTBEAT])
      consumer.on(event, () => {
        if (isCurrent()) this.#aliveAt = Date.now();
      });
    const config: ConsumerRunConfig = {
      autoCommit: false,
      eachBatchAutoResolve: false,
      eachBatch: (payload) => this.#take(payload),
    };
    if (await runConsumer(consumer, present, config, isCurrent)) this.#isReading = true;
  }

  /** One that is missing keeps none of the others from being read. @throws Fault KAFKA_NO_TOPIC where all are. */
  async #present(): Promise<string[]> {
    const { log } = this.#options;
    const existing = new Set(await this.#existing());
    const before = this.#missing;
    this.#missing = this.#topics.filter((topic) => !existing.has(topic));
    if (this.#missing.join() !== before.join() && this.#missing.length > 0) {
      const { code, message, remedy } = noTopic(this.#missing);
      log('error', message, { code, remedy });
    }
    if (this.#missing.length === this.#topics.length) throw noTopic(this.#missing);
    return this.#topics.filter((topic) => existing.has(topic));
  }

  /** In parts: each is durable as a whole before the next begins, so what comes again comes in the same order. */
  async #take(payload: EachBatchPayload): Promise<void> {
    const { topic, partition, messages } = payload.batch;
    let part = new Part();
    for (const message of messages) {
      if (!payload.isRunning() || payload.isStale()) return;
      part.add(this.#read(topic, partition, message));
      if (!part.isFull && message !== messages.at(-1)) continue;
      await this.#settle(part);
      part = new Part();
      payload.resolveOffset(message.offset);
      await payload.heartbeat();
    }
    await payload.commitOffsetsIfNecessary(payload.uncommittedOffsets());
  }

  async #settle({ events, refused }: Part): Promise<void> {
    const { submit, refuse } = this.#options;
    await Promise.all([events.length === 0 ? undefined : submit(events), ...refused.map((record) => refuse(record))]);
  }

  #read(topic: string, partition: number, { value, offset }: KafkaMessage): Read {
    const ours = this.#options.mappings.filter((mapping) => mapping.topic === topic);
    try {
      const event = mapped(ours, value);
      if (event === null) return null;
      requireShallow(event);
      const bytes = Buffer.byteLength(JSON.stringify(event));
      if (bytes > INPUT_BYTES_MAX) throw tooLarge(bytes);
      const input = toInput(event, sha256);
      requireForeign(input.source);
      return { kind: 'event', bytes, event: { input, event } };
    } catch (error) {
      // Whatever cannot be read now cannot be read later either: a fault of the moment comes from `submit` only.
      if (!(error instanceof Fault)) throw error;
      return {
        kind: 'refused',
        record: { stream: streamOf(topic, partition), offset: Number(offset), value, fault: error },
      };
    }
  }

  #lookForLife(): void {
    const silentMs = Date.now() - this.#aliveAt;
    if (silentMs >= SILENT_MS) this.#again(new Error(`nothing was fetched for ${silentMs} ms`));
    else if (this.#isReading && !this.#isLooking && this.#missing.length > 0) void this.#lookForMissing();
  }

  #existing(): Promise<string[]> {
    return administer(this.#options.kafka, (admin) => admin.listTopics());
  }

  async #lookForMissing(): Promise<void> {
    this.#isLooking = true;
    // Where the brokers do not say it, nothing is known to be there.
    const existing = await this.#existing().catch((): string[] => []);
    this.#isLooking = false;
    const found = this.#missing.filter((topic) => existing.includes(topic));
    // One that is being built anew looks for itself.
    if (this.#isReading && found.length > 0)
      this.#again(new Error(`${found.join(', ')}: there now, all are read anew`));
  }

  /** From the last offset that was committed on. */
  #again(error: unknown): void {
    if (this.#stopped || this.#restart !== null) return;
    this.#isReading = false;
    this.#options.log('warn', 'topics of others are not read just now', { error: String(error) });
    this.#restart = setTimeout(() => {
      this.#restart = null;
      void (this.#consumer === null ? Promise.resolve() : abandon(this.#consumer)).then(() => {
        if (!this.#stopped) this.start();
      });
    }, RETRY_MS);
  }
}

class Part {
  readonly events: MappedEvent[] = [];
  readonly refused: RefusedRecord[] = [];
  #records = 0;
  #bytes = 0;

  get isFull(): boolean {
    return this.#records >= PART_RECORDS || this.#bytes >= PART_BYTES;
  }

  add(read: Read): void {
    this.#records += 1;
    switch (read?.kind) {
      case undefined:
        return;
      case 'event':
        this.events.push(read.event);
        this.#bytes += read.bytes;
        return;
      case 'refused':
        this.refused.push(read.record);
        this.#bytes += read.record.value?.length ?? 0;
    }
  }
}

function noTopic(topics: readonly string[]): Fault {
  const remedy = 'Check the topics that kafkaMappings names, and the ACLs; they are read as soon as they are there.';
  return new Fault('KAFKA_NO_TOPIC', `mapped, but not there: ${topics.join(', ')}`, remedy);
}

function tooLarge(bytes: number): Fault {
  const remedy = 'Map references to large data, not the data.';
  return new Fault('TOO_LARGE', `the mapped event has ${bytes} bytes: an input has 1 MiB at most`, remedy);
}
