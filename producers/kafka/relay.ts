import type { Entry } from '../../events/entries.ts';
import { Fault } from '../../events/fault.ts';
import { WALL } from '../../events/vocabulary.ts';
import { RELAYED } from '../../log/kafka/import.ts';
import type { KafkaLog, Topics } from '../../kafka/options.ts';
import type { NewRecord } from '../../kafka/port.ts';
import { partitionOf } from '../../kafka/partitioner.ts';
import { formatPosition } from '../../log/port.ts';
import { deadLettersOf, recordOfTruncated, recordOfLetter } from '../dead-letters.ts';
import { isSentAlone, splitForSending, type RecordProducer } from '../../kafka/record-producer.ts';

/**
 * The relay copies the questions, commands and dead letters of one partition's committed entries into their topics: in order,
 * at least once, each record under its item's id. Its checkpoint is stored with the partition, so the next owner continues
 * from it. Entries of recorded worlds are skipped. A record that is too large for its topic would block all later records, so
 * its first bytes go to the dead letters and an error is logged.
 */

export type RelayOptions = {
  readonly partition: number;
  readonly partitions: number;
  readonly topics: Topics;
  readonly producer: Pick<RecordProducer, 'send'>;
  /** Reads the committed entries from this sequence up to the end of the ledger. */
  readonly read: (from: number) => AsyncIterable<{ readonly sequence: number; readonly entry: Entry }>;
  /** Called when the records of every entry up to this sequence are acknowledged by the brokers. */
  readonly saveCheckpoint: (sequence: number) => void;
  /** Called when a record was too large for its topic. */
  readonly truncated?: (kind: Outgoing) => void;
  readonly log: KafkaLog;
};

export type Outgoing = 'question' | 'command' | 'dead-letter';
/** An outgoing record. `sequence` is the entry it comes from, where an operator can read it in full. */
type OutgoingRecord = { readonly kind: Outgoing; readonly sequence: number; readonly message: NewRecord };

export { RELAYED };

/** The longest queue in memory. The relay drops a longer queue and reads its entries from the ledger instead. */
const QUEUE_ENTRIES_MAX = 10_000;
const SEND_ENTRIES = 500;
const RETRY_MS = 1000;

type Item = { readonly sequence: number; readonly entry: Entry };

export class Relay {
  readonly #options: RelayOptions;
  /** The first sequence whose records are not acknowledged yet. */
  #next: number;
  #queue: Item[] = [];
  /** True when entries between `#next` and the queue are missing, so that the relay must read them from the ledger. */
  #isBehind = true;
  #running: Promise<void>;
  #wake: () => void = () => {};
  #stopped = false;

  /** @param next the first sequence to send: the checkpoint plus one. */
  constructor(options: RelayOptions, next: number) {
    this.#options = options;
    this.#next = next;
    this.#running = this.#run();
  }

  /** Queues a committed batch. @param first the sequence of its first entry. */
  committed(first: number, entries: readonly Entry[]): void {
    if (this.#isBehind) return this.#wake();
    if (this.#queue.length + entries.length > QUEUE_ENTRIES_MAX) {
      this.#queue = [];
      this.#isBehind = true;
    } else for (const [index, entry] of entries.entries()) this.#queue.push({ sequence: first + index, entry });
    this.#wake();
  }

  /** Stops after the current send. The next owner sends the remaining entries. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#wake();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      try {
        await (this.#isBehind ? this.#catchUp() : this.#sendQueue());
      } catch (error) {
        const { partition, log } = this.#options;
        log('warn', 'commands and dead letters could not be sent; retrying', { partition, error: String(error) });
        this.#queue = [];
        this.#isBehind = true;
        await this.#pause(RETRY_MS);
      }
    }
  }

  async #catchUp(): Promise<void> {
    // Batches committed during the read are queued from here on, so no entry is missed between the read and the queue.
    this.#isBehind = false;
    this.#queue = [];
    let items: Item[] = [];
    for await (const { sequence, entry } of this.#options.read(this.#next)) {
      items.push({ sequence, entry });
      if (items.length < SEND_ENTRIES) continue;
      await this.#send(items);
      items = [];
      if (this.#stopped) return;
    }
    await this.#send(items);
  }

  async #sendQueue(): Promise<void> {
    const items = this.#queue.splice(0, SEND_ENTRIES).filter(({ sequence }) => sequence >= this.#next);
    if (items.length === 0) return this.#pause();
    await this.#send(items);
  }

  async #send(items: readonly Item[]): Promise<void> {
    const last = items.at(-1);
    if (last === undefined) return;
    const { topics, saveCheckpoint } = this.#options;
    const wallClockItems = items.filter(({ entry }) => entry.clock === WALL);
    for (const [partition, records] of this.#workRecords(wallClockItems)) {
      await this.#sendAll(topics.commands, partition, records);
    }
    const letters = wallClockItems.flatMap((item) => this.#deadLetterRecords(item));
    await this.#sendAll(topics.deadLetters, 0, letters);
    this.#next = last.sequence + 1;
    saveCheckpoint(last.sequence);
  }

  async #sendAll(topic: string, partition: number, records: readonly OutgoingRecord[]): Promise<void> {
    const { producer } = this.#options;
    for (const part of splitForSending(records.map(({ message }) => message))) {
      try {
        await producer.send(topic, partition, part);
      } catch (error) {
        const tooLarge = recordTooLarge(error, part, records);
        if (tooLarge === undefined) throw error;
        await this.#sendTruncated(topic, tooLarge);
      }
    }
  }

  async #sendTruncated(topic: string, { kind, sequence, message }: OutgoingRecord): Promise<void> {
    const { topics, producer, truncated, log } = this.#options;
    const position = this.#positionOf(sequence);
    const value = Buffer.from(message.value ?? '');
    const what = `a ${kind} of ${value.length} bytes exceeds the record limit of topic ${topic}`;
    const remedy = `Raise max.message.bytes of the topic; entry ${position} of the ledger has the full content.`;
    const fault = new Fault('TOO_LARGE', what, remedy);
    const cut = recordOfTruncated(fault, value);
    // The headers of a dead letter replace these headers, so that it keeps its own error code.
    const headers = { ...cut.headers, ...message.headers, cut: 'true', position };
    await producer.send(topics.deadLetters, 0, [{ ...cut, headers }]);
    log('error', what, { position, code: fault.code, remedy: fault.remedy });
    truncated?.(kind);
  }

  /**
   * Returns the questions and commands, grouped by the partition of their host. A record for the orchestrator has no
   * key.
   */
  #workRecords(items: readonly Item[]): Map<number, OutgoingRecord[]> {
    const { partitions } = this.#options;
    const byPartition = new Map<number, OutgoingRecord[]>();
    const add = (kind: Outgoing, host: string | null, id: string, sequence: number, item: object): void => {
      const partition = host === null ? 0 : partitionOf(host, partitions);
      const record = { kind, sequence, message: { key: host, value: JSON.stringify(item), headers: { id } } };
      const records = byPartition.get(partition);
      if (records === undefined) byPartition.set(partition, [record]);
      else records.push(record);
    };
    for (const { sequence, entry } of items) {
      for (const question of entry.questions)
        add('question', question.host, question.question, sequence, { kind: 'question', question });
      for (const command of entry.commands)
        add('command', command.host, command.command, sequence, { kind: 'command', command });
    }
    return byPartition;
  }

  #deadLetterRecords({ sequence, entry }: Item): OutgoingRecord[] {
    const position = this.#positionOf(sequence);
    return deadLettersOf([entry])
      .map(recordOfLetter)
      .map((record) => ({
        kind: 'dead-letter',
        sequence,
        message: { ...record, headers: { ...record.headers, position } },
      }));
  }

  #positionOf(sequence: number): string {
    return formatPosition({ partition: this.#options.partition, sequence });
  }

  /** Resolves after `ms`, or without `ms` at the next committed batch. A stop ends either pause. */
  #pause(ms?: number): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = ms === undefined ? null : setTimeout(resolve, ms);
      this.#wake = () => {
        // A committed batch must not end the pause before a retry.
        if (timer !== null && !this.#stopped) return;
        if (timer !== null) clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** Returns the record that the brokers refused as too large; undefined when the send failed for another reason. */
function recordTooLarge(
  error: unknown,
  part: readonly NewRecord[],
  records: readonly OutgoingRecord[],
): OutgoingRecord | undefined {
  const [first] = part;
  if (!(error instanceof Fault) || error.code !== 'KAFKA_TOO_LARGE') return undefined;
  if (first === undefined || !isSentAlone(first)) return undefined;
  return records.find(({ message }) => message === first);
}
