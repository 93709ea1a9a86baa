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
 * Carries what one partition's committed entries ask, command and refuse into the topics of commands and of dead letters: in
 * order, at least once, each item under its id. How far it came is a position among the partition's own, so the next owner
 * goes on from there. What a recording asked long ago is passed over. One item that its topic does not take, being too large,
 * would hold up all that follow: it is buried, which is told loudly.
 */

export type RelayOptions = {
  readonly partition: number;
  readonly partitions: number;
  readonly topics: Topics;
  readonly producer: RecordProducer;
  /** Committed entries from a sequence on, as far as they are now. */
  readonly read: (from: number) => AsyncIterable<{ readonly sequence: number; readonly entry: Entry }>;
  /** Everything through this sequence has left. */
  readonly saveCheckpoint: (sequence: number) => void;
  /** An item was too large for its topic. */
  readonly truncated?: (kind: Outgoing) => void;
  readonly log: KafkaLog;
};

export type Outgoing = 'question' | 'command' | 'dead-letter';
/** `sequence`: of the entry that it comes from, where it can be read whole. */
type Leaving = { readonly kind: Outgoing; readonly sequence: number; readonly message: NewRecord };

export { RELAYED };

/** Entries that wait here at most; beyond that they are read again from the ledger. */
const WAITING_MAX = 10_000;
const SEND_ENTRIES = 500;
const RETRY_MS = 1000;

type Item = { readonly sequence: number; readonly entry: Entry };

export class Relay {
  readonly #options: RelayOptions;
  /** Everything before it has left. */
  #next: number;
  #queue: Item[] = [];
  /** The queue does not begin at `#next`: what is missing is read. */
  #isBehind = true;
  #running: Promise<void>;
  #wake: () => void = () => {};
  #stopped = false;

  /** @param next the first sequence that has not left. */
  constructor(options: RelayOptions, next: number) {
    this.#options = options;
    this.#next = next;
    this.#running = this.#run();
  }

  /** A batch became durable: its first entry has this sequence. */
  committed(first: number, entries: readonly Entry[]): void {
    if (this.#isBehind) return this.#wake();
    if (this.#queue.length + entries.length > WAITING_MAX) {
      this.#queue = [];
      this.#isBehind = true;
    } else for (const [index, entry] of entries.entries()) this.#queue.push({ sequence: first + index, entry });
    this.#wake();
  }

  /** Ends after the send that is under way: the rest is the next owner's. */
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
        log('warn', 'commands and dead letters cannot leave just now', { partition, error: String(error) });
        this.#queue = [];
        this.#isBehind = true;
        await this.#pause(RETRY_MS);
      }
    }
  }

  async #catchUp(): Promise<void> {
    // From here on batches are kept, so nothing falls between what is read and what is kept.
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
    const live = items.filter(({ entry }) => entry.clock === WALL);
    for (const [partition, leaving] of this.#commands(live)) await this.#sendAll(topics.commands, partition, leaving);
    const letters = live.flatMap((item) => this.#letters(item));
    await this.#sendAll(topics.deadLetters, 0, letters);
    this.#next = last.sequence + 1;
    saveCheckpoint(last.sequence);
  }

  /** A batch that the topic does not take would be sent again for ever. */
  async #sendAll(topic: string, partition: number, leaving: readonly Leaving[]): Promise<void> {
    const { producer } = this.#options;
    for (const part of splitForSending(leaving.map(({ message }) => message))) {
      try {
        await producer.send(topic, partition, part);
      } catch (error) {
        const [first] = part;
        const isAlone = first !== undefined && isSentAlone(first);
        const alone = isAlone ? leaving.find(({ message }) => message === first) : undefined;
        if (alone === undefined || !(error instanceof Fault) || error.code !== 'KAFKA_TOO_LARGE') throw error;
        await this.#sendTruncated(topic, alone);
      }
    }
  }

  async #sendTruncated(topic: string, { kind, sequence, message }: Leaving): Promise<void> {
    const { topics, producer, truncated, log } = this.#options;
    const position = this.#positionOf(sequence);
    const value = Buffer.from(message.value ?? '');
    const what = `a ${kind} of ${value.length} bytes is more than ${topic} takes in one record`;
    const fault = new Fault('TOO_LARGE', what, `Raise max.message.bytes there; entry ${position} has all of it.`);
    const cut = recordOfTruncated(fault, value);
    // A dead letter has a reason of its own, which stays.
    const headers = { ...cut.headers, ...message.headers, cut: 'true', position };
    await producer.send(topics.deadLetters, 0, [{ ...cut, headers }]);
    log('error', what, { position, code: fault.code, remedy: fault.remedy });
    truncated?.(kind);
  }

  /** By the partition of their host; the orchestrator's have no key. */
  #commands(items: readonly Item[]): Map<number, Leaving[]> {
    const { partitions } = this.#options;
    const byPartition = new Map<number, Leaving[]>();
    const add = (kind: Outgoing, host: string | null, id: string, sequence: number, item: object): void => {
      const partition = host === null ? 0 : partitionOf(host, partitions);
      const message = { key: host, value: JSON.stringify(item), headers: { id } };
      const leaving = { kind, sequence, message };
      const parcel = byPartition.get(partition);
      if (parcel === undefined) byPartition.set(partition, [leaving]);
      else parcel.push(leaving);
    };
    for (const { sequence, entry } of items) {
      for (const question of entry.questions)
        add('question', question.host, question.question, sequence, { kind: 'question', question });
      for (const command of entry.commands)
        add('command', command.host, command.command, sequence, { kind: 'command', command });
    }
    return byPartition;
  }

  #letters({ sequence, entry }: Item): Leaving[] {
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

  #pause(ms?: number): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = ms === undefined ? null : setTimeout(resolve, ms);
      this.#wake = () => {
        // Whoever waits for a retry is woken by the end only.
        if (timer !== null && !this.#stopped) return;
        if (timer !== null) clearTimeout(timer);
        resolve();
      };
    });
  }
}
