import type { Fault } from '../../events/fault.ts';
import type { Time } from '../../engine/time.ts';
import type { Fetched } from './fetched-batch.ts';
import { type OffsetRange, inputsAltered } from './offset-range.ts';
import { consumedRecordOf, isSame, type ConsumedRecord } from './consumed-record.ts';

/**
 * Whether the topic that delivers is the one that delivered before. It is asked for the newest record that was taken, first of
 * all, and again after each time the group was joined: while nobody read, it may have been made anew. A record that the topic
 * no longer keeps proves nothing, and nothing is asked of it.
 */

export type ProofOptions = {
  readonly stream: string;
  readonly time: Time;
  readonly offsetRange: () => Promise<OffsetRange>;
  /** Asks the topic to deliver from this offset on. */
  readonly seek: (offset: number) => void;
};

/** Where nothing comes the topic is asked again. */
const AGAIN_MS = 10_000;

export class TopicIdentityCheck {
  readonly #options: ProofOptions;
  /** What is to be seen before anything else; null: it was. */
  #wanted: ConsumedRecord | null;
  #newest: ConsumedRecord | null;
  /** Where the topic goes on where nothing is wanted. */
  #next: number;
  #cancel = () => {};
  #isAsking = false;
  #closed = false;

  constructor(options: ProofOptions, record: ConsumedRecord | null, next: number) {
    this.#options = options;
    this.#wanted = record;
    this.#newest = record;
    this.#next = next;
  }

  get isGiven(): boolean {
    return this.#wanted === null;
  }

  /** Begins, given what the topic holds. */
  begin({ low }: OffsetRange): void {
    if (this.#closed) return;
    if (this.#wanted !== null && low > this.#wanted.offset) this.#wanted = null;
    this.#cancel();
    if (this.#wanted !== null) this.#cancel = this.#options.time.after(AGAIN_MS, () => void this.#ask());
    this.#options.seek(this.#wanted?.offset ?? this.#next);
  }

  /** The topic was left, and is read again. */
  renew(): void {
    this.#wanted = this.#newest;
    if (this.#wanted !== null) void this.#ask();
  }

  /**
   * @returns a fault where it is another topic, and whether what was delivered may be taken: what does not have the wanted
   * record comes again.
   */
  look({ items, from, until }: Fetched): { fault: Fault | null; isGiven: boolean } {
    const wanted = this.#wanted;
    if (wanted === null) return { fault: null, isGiven: true };
    if (from > wanted.offset || until <= wanted.offset) {
      void this.#ask();
      return { fault: null, isGiven: false };
    }
    const found = items.find(({ offset }) => offset === wanted.offset);
    if (found === undefined || !isSame(wanted, consumedRecordOf(found.item, found.offset))) {
      const what = `${this.#options.stream} has another record at ${wanted.offset} than the one that was taken`;
      return { fault: inputsAltered(what), isGiven: false };
    }
    this.#wanted = null;
    this.#cancel();
    return { fault: null, isGiven: true };
  }

  /** These were taken; the topic goes on behind them. */
  taken(items: Fetched['items'], next: number): void {
    this.#next = next;
    for (const { item, offset } of items) this.#newest = consumedRecordOf(item, offset) ?? this.#newest;
  }

  close(): void {
    this.#closed = true;
    this.#cancel();
  }

  async #ask(): Promise<void> {
    if (this.#isAsking || this.#closed) return;
    this.#isAsking = true;
    try {
      this.begin(await this.#options.offsetRange());
    } catch {
      // The brokers do not say what the topic holds.
      this.#cancel();
      if (!this.#closed) this.#cancel = this.#options.time.after(AGAIN_MS, () => void this.#ask());
    } finally {
      this.#isAsking = false;
    }
  }
}
