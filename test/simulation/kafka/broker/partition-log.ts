import type { FetchedRecord, NewRecord, OffsetRange, RecordHeaders } from '../../../../kafka/port.ts';
import { BrokerError } from './errors.ts';

/** A transaction in one partition. Its records are visible once its outcome is `committed` and the marker is written. */
export type PartitionTransaction = { readonly first: number; outcome: 'open' | 'committed' | 'aborted' };

type Slot = { readonly record: FetchedRecord | null; readonly transaction: PartitionTransaction | null };

/** Returns the answer to a fetch of one partition; null if no record follows the offset. */
type Fetch = { readonly records: readonly FetchedRecord[]; readonly next: number; readonly high: number } | null;

/** The log of one partition: records, transaction markers, and the offset up to which all transactions have ended. */
export class PartitionLog {
  readonly topic: string;
  readonly partition: number;
  readonly #now: () => number;
  readonly #slots: Slot[] = [];
  readonly #open = new Set<PartitionTransaction>();
  readonly #waiters = new Set<() => void>();
  /** The base offsets of the sends so far, so that a repeated send is recognised. */
  readonly #sends = new WeakMap<object, number>();
  #leaderAt = 0;
  /** After an election the brokers report an earlier end for a while. */
  #reported: { readonly end: number; readonly until: number } | null = null;
  /** Called with records that have become visible, in order. */
  onVisible: (records: readonly FetchedRecord[]) => void = () => {};
  /** Called with the records of a transaction when its commit is decided, which is before they are visible. */
  onCommitted: (records: readonly FetchedRecord[]) => void = () => {};
  onAppended: (records: readonly FetchedRecord[]) => void = () => {};
  #seen = 0;

  constructor(topic: string, partition: number, now: () => number) {
    this.topic = topic;
    this.partition = partition;
    this.#now = now;
  }

  get hasLeader(): boolean {
    return this.#now() >= this.#leaderAt;
  }

  /**
   * Begins an election: the partition has no leader until `leaderAt`, and reports an earlier end until `reportedUntil`.
   */
  elect(leaderAt: number, end: number, reportedUntil: number): void {
    this.#leaderAt = Math.max(this.#leaderAt, leaderAt);
    this.#reported = { end, until: reportedUntil };
  }

  /** Lets waiting fetches read the log again. */
  wake(): void {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const waiter of waiters) waiter();
  }

  whenChanged(callback: () => void): () => void {
    this.#waiters.add(callback);
    return () => this.#waiters.delete(callback);
  }

  /** The offset before which every transaction has ended. */
  get stableEnd(): number {
    let end = this.#slots.length;
    for (const { first } of this.#open) end = Math.min(end, first);
    return end;
  }

  /** @throws BrokerError while the partition has no leader. */
  get range(): OffsetRange {
    this.#requireLeader();
    return { low: 0, high: this.#reportedEnd };
  }

  get #reportedEnd(): number {
    const reported = this.#reported;
    if (reported === null || this.#now() >= reported.until) return this.stableEnd;
    return Math.min(reported.end, this.stableEnd);
  }

  /** Returns true if this send was appended before. */
  hasSend(send: object): boolean {
    return this.#sends.has(send);
  }

  /** Appends the records of a send once, and returns the offset of the first record. */
  append(send: object, records: readonly NewRecord[], transaction: PartitionTransaction | null): number {
    this.#requireLeader();
    const known = this.#sends.get(send);
    if (known !== undefined) return known;
    const base = this.#slots.length;
    const stored = records.map((record, index) => storedOf(record, base + index));
    for (const record of stored) this.#slots.push({ record, transaction });
    this.#sends.set(send, base);
    this.onAppended(stored);
    this.#advance();
    return base;
  }

  begin(): PartitionTransaction {
    const transaction: PartitionTransaction = { first: this.#slots.length, outcome: 'open' };
    this.#open.add(transaction);
    return transaction;
  }

  /** Records that the transaction will commit: its records are durable, and only the marker is missing. */
  decideCommit(transaction: PartitionTransaction): void {
    const slots = this.#slots.slice(transaction.first).filter((slot) => slot.transaction === transaction);
    this.onCommitted(slots.flatMap(({ record }) => (record === null ? [] : [record])));
  }

  /** Writes the marker of a transaction, which makes its records visible or discards them. */
  complete(transaction: PartitionTransaction, outcome: 'committed' | 'aborted'): void {
    transaction.outcome = outcome;
    this.#open.delete(transaction);
    this.#slots.push({ record: null, transaction });
    this.#advance();
  }

  /** Reads visible records. @throws BrokerError while the partition has no leader. */
  fetch(from: number, count: number): Fetch {
    this.#requireLeader();
    const end = this.#reportedEnd;
    if (from >= end) return null;
    const records: FetchedRecord[] = [];
    let next = from;
    for (; next < end; next += 1) {
      const record = this.#visible(next);
      if (record === null) continue;
      if (records.length === count) break;
      records.push(record);
    }
    return { records, next, high: this.#slots.length };
  }

  /** All visible records. */
  visible(): FetchedRecord[] {
    return this.#visibleBetween(0, this.stableEnd);
  }

  #visibleBetween(from: number, end: number): FetchedRecord[] {
    const records: FetchedRecord[] = [];
    for (let offset = from; offset < end; offset += 1) {
      const record = this.#visible(offset);
      if (record !== null) records.push(record);
    }
    return records;
  }

  #visible(offset: number): FetchedRecord | null {
    const { record = null, transaction = null } = this.#slots[offset] ?? {};
    return transaction === null || transaction.outcome === 'committed' ? record : null;
  }

  #advance(): void {
    const end = this.stableEnd;
    if (end > this.#seen) this.onVisible(this.#visibleBetween(this.#seen, end));
    this.#seen = end;
    this.wake();
  }

  #requireLeader(): void {
    if (!this.hasLeader) throw new BrokerError('NOT_LEADER_FOR_PARTITION');
  }
}

function storedOf({ key, value, headers = {} }: NewRecord, offset: number): FetchedRecord {
  return { offset, key: bufferOf(key), value: bufferOf(value), headers: headersOf(headers) };
}

function headersOf(headers: RecordHeaders): RecordHeaders {
  return Object.fromEntries(
    Object.entries(headers).map(([name, content]) => [
      name,
      Array.isArray(content) ? content.map((each) => Buffer.from(each)) : (bufferOf(content ?? null) ?? undefined),
    ]),
  );
}

function bufferOf(content: Buffer | string | null): Buffer | null {
  return content === null ? null : Buffer.from(content);
}
