import type { DeadlineGate } from '../../engine/partition-loop.ts';
import type { Time } from '../../engine/time.ts';

/**
 * Lets a deadline fire only when the inputs that were in the topic when it fell due have been taken: after a downtime, or
 * behind a lag, answers that are there already go first.
 */
export type GateOptions = {
  readonly time: Time;
  /** The topic's end: the offset after its last record. */
  readonly end: () => Promise<number>;
  /** Calls back once all that was delivered has been taken. */
  readonly whenTaken: (callback: () => void) => void;
};

/** Where the topic's end cannot be asked for, deadlines wait; it is asked again after this. */
const RETRY_MS = 500;

export class TopicDeadlineGate implements DeadlineGate {
  readonly #options: GateOptions;
  #takenUntil = Number.NEGATIVE_INFINITY;
  /** The offset after the last record that was delivered. */
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

  /** Records were delivered, or passed over: the next one has this offset. */
  delivered(next: number): void {
    this.#delivered = Math.max(this.#delivered, next);
    this.#settle();
  }

  /** It looks no more, nor when a look that is under way fails. */
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
