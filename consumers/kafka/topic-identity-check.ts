import type { Fault } from '../../events/fault.ts';
import type { Time } from '../../engine/time.ts';
import { type ConsumedRecord, consumedRecordOf, isSame } from './consumed-record.ts';
import type { Fetched } from './fetched-batch.ts';
import { inputsAltered, type OffsetRange } from './offset-range.ts';

/**
 * Detects a topic of inputs that was recreated: before the first input, and again after each rejoin of the group, the topic must
 * deliver the last consumed record at its offset. The check passes without a record if the topic has already deleted it.
 */

export type IdentityCheckOptions = {
  readonly stream: string;
  /** The offset of the next input. */
  readonly next: number;
  readonly time: Time;
  readonly offsetRange: () => Promise<OffsetRange>;
  /** Makes the consumer continue at this offset. */
  readonly seek: (offset: number) => void;
};

/** The delay before the record is requested again, if the topic delivers nothing. */
const RETRY_MS = 10_000;

export class TopicIdentityCheck {
  readonly #options: IdentityCheckOptions;
  /** The record the topic must still hold; null once verified. */
  #expected: ConsumedRecord | null;
  #lastConsumed: ConsumedRecord | null;
  #next: number;
  #cancelRetry = () => {};
  #isAsking = false;
  #closed = false;

  constructor(options: IdentityCheckOptions, lastConsumed: ConsumedRecord | null) {
    this.#options = options;
    this.#expected = lastConsumed;
    this.#lastConsumed = lastConsumed;
    this.#next = options.next;
  }

  get isPassed(): boolean {
    return this.#expected === null;
  }

  /** Makes the consumer deliver the expected record, or the next input if none is expected. */
  begin({ low }: OffsetRange): void {
    if (this.#closed) return;
    if (this.#expected !== null && low > this.#expected.offset) this.#expected = null;
    this.#cancelRetry();
    if (this.#expected !== null) this.#retryLater();
    this.#options.seek(this.#expected?.offset ?? this.#next);
  }

  /** Expects the last consumed record again. */
  restart(): void {
    this.#expected = this.#lastConsumed;
    if (this.#expected !== null) void this.#askAgain();
  }

  /**
   * Compares a fetched batch with the expected record.
   * @returns INPUTS_ALTERED if the topic holds another record at that offset; `isPassed`: the batch may be consumed.
   */
  check({ items, from, until }: Fetched): { fault: Fault | null; isPassed: boolean } {
    const expected = this.#expected;
    if (expected === null) return { fault: null, isPassed: true };
    if (from > expected.offset || until <= expected.offset) {
      void this.#askAgain();
      return { fault: null, isPassed: false };
    }
    const found = items.find(({ offset }) => offset === expected.offset);
    if (found === undefined || !isSame(expected, consumedRecordOf(found.item, found.offset))) {
      const what = `${this.#options.stream} has another record at ${expected.offset} than the one that was consumed`;
      return { fault: inputsAltered(what), isPassed: false };
    }
    this.#expected = null;
    this.#cancelRetry();
    return { fault: null, isPassed: true };
  }

  /** Remembers the last of these accepted records, and the offset of the next input. */
  accepted(items: Fetched['items'], next: number): void {
    this.#next = next;
    for (const { item, offset } of items) this.#lastConsumed = consumedRecordOf(item, offset) ?? this.#lastConsumed;
  }

  close(): void {
    this.#closed = true;
    this.#cancelRetry();
  }

  async #askAgain(): Promise<void> {
    if (this.#isAsking || this.#closed) return;
    this.#isAsking = true;
    try {
      this.begin(await this.#options.offsetRange());
    } catch {
      // The brokers did not answer, so the request is repeated later.
      this.#cancelRetry();
      if (!this.#closed) this.#retryLater();
    } finally {
      this.#isAsking = false;
    }
  }

  #retryLater(): void {
    this.#cancelRetry = this.#options.time.after(RETRY_MS, () => void this.#askAgain());
  }
}
