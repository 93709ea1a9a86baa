import type { DeadlineGate } from '../../engine/partition-loop.ts';
import type { Time } from '../../engine/time.ts';

export type GateOptions = {
  readonly time: Time;
  /** Returns the offset after the topic's last record. @throws Fault KAFKA_…. */
  readonly end: () => Promise<number>;
  /** Calls back once all delivered records have been decided. */
  readonly whenTaken: (callback: () => void) => void;
};

/** The delay before the topic's end is requested again after an error; deadlines wait meanwhile. */
const RETRY_MS = 500;

/**
 * Lets a deadline fire only after the inputs that were in the topic when the deadline fell due have been decided. After a
 * downtime, waiting answers are therefore decided before deadlines.
 */
export class TopicDeadlineGate implements DeadlineGate {
  readonly #options: GateOptions;
  #takenUntil = Number.NEGATIVE_INFINITY;
  /** The offset after the last delivered record. */
  #delivered = 0;
  #looking = false;
  #closed = false;
  #awaited: { readonly end: number; readonly at: number } | null = null;
  #cancelRetry: (() => void) | null = null;

  constructor(options: GateOptions) {
    this.#options = options;
  }

  takenUntil(wanted: number): number {
    if (this.#takenUntil < wanted && !this.#looking) void this.#look();
    return this.#takenUntil;
  }

  /** Records that everything before offset `next` was delivered or skipped. */
  delivered(next: number): void {
    this.#delivered = Math.max(this.#delivered, next);
    this.#settle();
  }

  /** Stops all requests for the topic's end; a request under way is not repeated. */
  close(): void {
    this.#closed = true;
    this.#looking = true;
    this.#cancelRetry?.();
  }

  async #look(): Promise<void> {
    const { time, end } = this.#options;
    this.#looking = true;
    const at = time.now();
    try {
      this.#awaited = { end: await end(), at };
      if (!this.#closed) this.#settle();
    } catch {
      if (!this.#closed) this.#cancelRetry = time.after(RETRY_MS, () => void this.#look());
    }
  }

  #settle(): void {
    const awaited = this.#awaited;
    if (awaited === null || this.#delivered < awaited.end) return;
    this.#awaited = null;
    this.#options.whenTaken(() => {
      this.#takenUntil = Math.max(this.#takenUntil, awaited.at);
      this.#looking = false;
    });
  }
}
