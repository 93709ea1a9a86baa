import type { GroupOffset } from '../../kafka/port.ts';

/**
 * Decides which transactions also commit the group's offset: one per second. Landfall itself reads the positions in the ledger; the
 * offset exists for operators, whose tools (kafka-consumer-groups, lag exporters) know no other measure than the group's offset.
 * Committing it makes four of the nine requests of a transaction, which is too much for every transaction.
 */

const EVERY_MS = 1000;

export class OffsetsHint {
  readonly #wake: () => void;
  #newest: GroupOffset | null = null;
  #lastAt = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | null = null;

  /** @param wake called when an offset is due but no transaction has committed it. */
  constructor(wake: () => void) {
    this.#wake = wake;
  }

  get isDue(): boolean {
    return this.#newest !== null && performance.now() - this.#lastAt >= EVERY_MS;
  }

  /**
   * @param offsets the offset that the next transaction reaches, or null if it consumes nothing.
   * @returns the offset that the transaction must commit, or null.
   */
  along(offsets: GroupOffset | null): GroupOffset | null {
    this.#newest = offsets ?? this.#newest;
    if (!this.isDue) {
      if (this.#newest !== null) this.#timer ??= setTimeout(() => this.hurry(), EVERY_MS);
      return null;
    }
    const hint = this.#newest;
    this.forget();
    this.#lastAt = performance.now();
    return hint;
  }

  /** Makes the newest offset due now. */
  hurry(): void {
    this.#stopTimer();
    this.#lastAt = Number.NEGATIVE_INFINITY;
    if (this.#newest !== null) this.#wake();
  }

  /** Discards the newest offset. */
  forget(): void {
    this.#newest = null;
    this.#stopTimer();
  }

  #stopTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
