import { INPUT_BYTES_MAX, toInput } from '../../events/cloud-event.ts';
import { Fault } from '../../events/fault.ts';
import type { Input } from '../../events/inputs.ts';
import { requireShallow } from '../../events/nesting.ts';
import { requireForeign } from '../../events/own-source.ts';
import { administer } from '../../kafka/client.ts';
import { type KafkaLog, streamOf } from '../../kafka/options.ts';
import type { BatchProgress, FetchedBatch, FetchedRecord, KafkaClient } from '../../kafka/port.ts';
import { SupervisedConsumer } from '../../kafka/supervised-consumer.ts';
import { sha256 } from '../../log/chain.ts';
import { mapped, type Mapping } from './mapping.ts';

/**
 * Reads inputs from topics of other systems, at least once: the offset of the group is committed after the mapped events are
 * durable, and an event that is read twice is recognised by its source and id. The instances share the partitions.
 */

export type MappedTopicsOptions = {
  readonly kafka: Pick<KafkaClient, 'admin' | 'consumer'>;
  readonly group: string;
  readonly mappings: readonly Mapping[];
  /** Resolves once these events are durable. @throws Fault if they may not be durable; they are then read again. */
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

/** The result of mapping one record; null if no mapping fits. */
type MappedRecord =
  | { readonly kind: 'event'; readonly event: MappedEvent; readonly bytes: number }
  | { readonly kind: 'refused'; readonly record: RefusedRecord }
  | null;

/** The events of one part are submitted together. */
const PART_RECORDS = 256;
const PART_BYTES = 512 * 1024;
const FETCH_WAIT_MS = 200;
const RESTART = { minMs: 1000, maxMs: 1000 };
/** One part may take some seconds to become durable, without a fetch or a heartbeat. */
const SILENT_MS = 60_000;
const MISSING_CHECK_MS = 5000;

export class MappedTopics {
  readonly #options: MappedTopicsOptions;
  readonly #topics: readonly string[];
  readonly #consumer: SupervisedConsumer;
  #missing: readonly string[] = [];
  #missingChecks: NodeJS.Timeout | null = null;
  #isChecking = false;

  constructor(options: MappedTopicsOptions) {
    const { kafka, group, log } = options;
    this.#options = options;
    this.#topics = [...new Set(options.mappings.map(({ topic }) => topic))];
    this.#consumer = new SupervisedConsumer({
      kafka,
      settings: { group, fetchWaitMs: FETCH_WAIT_MS },
      topics: () => this.#existingTopics(),
      events: { assigned: () => {}, batch: (batch, progress) => this.#consume(batch, progress) },
      restart: RESTART,
      silentMs: SILENT_MS,
      log,
    });
  }

  /** The mapped topics that are not being read. */
  get unread(): readonly string[] {
    return this.#consumer.isAssigned ? this.#missing : this.#topics;
  }

  start(): void {
    this.#missingChecks ??= setInterval(() => void this.#checkMissing(), MISSING_CHECK_MS);
    void this.#consumer.start();
  }

  async stop(): Promise<void> {
    if (this.#missingChecks !== null) clearInterval(this.#missingChecks);
    await this.#consumer.stop();
  }

  /**
   * Returns the mapped topics that exist; a missing topic does not stop the rest. @throws Fault KAFKA_NO_TOPIC if all are
   * missing.
   */
  async #existingTopics(): Promise<string[]> {
    const existing = new Set(await this.#topicNames());
    const before = this.#missing;
    this.#missing = this.#topics.filter((topic) => !existing.has(topic));
    if (this.#missing.join() !== before.join() && this.#missing.length > 0) {
      const { code, message, remedy } = noTopic(this.#missing);
      this.#options.log('error', message, { code, remedy });
    }
    if (this.#missing.length === this.#topics.length) throw noTopic(this.#missing);
    return this.#topics.filter((topic) => existing.has(topic));
  }

  #topicNames(): Promise<string[]> {
    return administer(this.#options.kafka, (admin) => admin.topicNames());
  }

  /** Joins the group again when a missing topic has been created. */
  async #checkMissing(): Promise<void> {
    if (this.#isChecking || !this.#consumer.isAssigned || this.#missing.length === 0) return;
    this.#isChecking = true;
    // A broker that does not answer names no topic.
    const existing = await this.#topicNames().catch((): string[] => []);
    this.#isChecking = false;
    const found = this.#missing.filter((topic) => existing.includes(topic));
    if (found.length === 0 || !this.#consumer.isAssigned) return;
    this.#options.log('info', 'missing topics have been created; joining the group again', { topics: found });
    this.#consumer.rejoin();
  }

  /** Handles a batch in parts. Each part is durable before the next begins, so a repeated part keeps its order. */
  async #consume({ topic, partition, records }: FetchedBatch, progress: BatchProgress): Promise<void> {
    let part = new Part();
    for (const record of records) {
      if (progress.isStale()) return;
      part.add(this.#map(topic, partition, record));
      if (!part.isFull && record !== records.at(-1)) continue;
      await this.#settle(part);
      part = new Part();
      progress.resolve(record.offset);
      await progress.heartbeat();
    }
    await progress.commit();
  }

  async #settle({ events, refused }: Part): Promise<void> {
    const { submit, refuse } = this.#options;
    await Promise.all([events.length === 0 ? undefined : submit(events), ...refused.map((record) => refuse(record))]);
  }

  #map(topic: string, partition: number, { value, offset }: FetchedRecord): MappedRecord {
    const mappings = this.#options.mappings.filter((mapping) => mapping.topic === topic);
    try {
      const event = mapped(mappings, value);
      if (event === null) return null;
      requireShallow(event);
      const bytes = Buffer.byteLength(JSON.stringify(event));
      if (bytes > INPUT_BYTES_MAX) throw tooLarge(bytes);
      const input = toInput(event, sha256);
      requireForeign(input.source);
      return { kind: 'event', bytes, event: { input, event } };
    } catch (error) {
      // A fault of the mapping is permanent; only faults of `submit` are temporary.
      if (!(error instanceof Fault)) throw error;
      return { kind: 'refused', record: { stream: streamOf(topic, partition), offset, value, fault: error } };
    }
  }
}

/** Consecutive records of one partition that are settled together. */
class Part {
  readonly events: MappedEvent[] = [];
  readonly refused: RefusedRecord[] = [];
  #records = 0;
  #bytes = 0;

  get isFull(): boolean {
    return this.#records >= PART_RECORDS || this.#bytes >= PART_BYTES;
  }

  add(read: MappedRecord): void {
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
  const remedy = 'Check the topics that kafkaMappings names, and the ACLs; the topics are read once they exist.';
  return new Fault('KAFKA_NO_TOPIC', `mapped topics are missing: ${topics.join(', ')}`, remedy);
}

function tooLarge(bytes: number): Fault {
  const remedy = 'Map references to large data instead of the data.';
  return new Fault('TOO_LARGE', `the mapped event has ${bytes} bytes: an input has 1 MiB at most`, remedy);
}
