import type { GroupOffset } from '../../kafka/port.ts';

/**
 * The group's offset tells who looks at lags how far a partition's inputs are consumed; what Landfall goes by stands with the
 * entries. It goes along with a transaction, of whose nine requests it makes four: so not with every one.
 */

const EVERY_MS = 1000;

export class OffsetsHint {
  readonly #wake: () => void;
  #newest: GroupOffset | null = null;
  #lastAt = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | null = null;

  /** @param wake called where one is due and no transaction came to take it along. */
  constructor(wake: () => void) {
    this.#wake = wake;
  }

  get isDue(): boolean {
    return this.#newest !== null && performance.now() - this.#lastAt >= EVERY_MS;
  }

  /** A transaction is about to consume as far as `offsets`; null: it consumes nothing. @returns what it takes along. */
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

  /** It is due now. */
  hurry(): void {
    this.#stopTimer();
    this.#lastAt = Number.NEGATIVE_INFINITY;
    if (this.#newest !== null) this.#wake();
  }

  /** There is nobody left to take it along. */
  forget(): void {
    this.#newest = null;
    this.#stopTimer();
  }

  #stopTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
