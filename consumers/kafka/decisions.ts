import type { Entry } from '../../events/entries.ts';
import type { Head, InputPosition } from '../../log/port.ts';

/**
 * What the owners decided about inputs that this instance put into the topic: each is found in the ledger by where it stands
 * among the inputs. One that was consumed and left no entry is a duplicate.
 */

export type Decision = { readonly sequence: number | null; readonly refusal: Entry['refusal'] };

const DUPLICATE: Decision = { sequence: null, refusal: null };

/** One partition's. */
export class Decisions {
  readonly #stream: string;
  /** How far inputs were consumed. */
  #consumed: number;
  /** Sends that do not know their offsets yet; what is decided meanwhile may be about them. */
  #sending = 0;
  readonly #recent = new Map<number, Decision>();
  readonly #waiting = new Map<number, (decision: Decision) => void>();

  constructor(stream: string, consumed: number) {
    this.#stream = stream;
    this.#consumed = consumed;
  }

  /** To be called before the records are sent, and `sent` with what came of that. */
  sending(): { sent: (first: number | null, count: number) => Promise<Decision>[] } {
    this.#sending += 1;
    return {
      sent: (first, count) => {
        const found = first === null ? [] : Array.from({ length: count }, (_, index) => this.#of(first + index));
        this.#sending -= 1;
        if (this.#sending === 0) this.#recent.clear();
        return found;
      },
    };
  }

  /** Entries can be read, and inputs count as consumed. */
  readable(entries: readonly Entry[], head: Head, positions: readonly InputPosition[]): void {
    if (this.#sending > 0 || this.#waiting.size > 0) this.#look(entries, head.sequence - entries.length + 1);
    const position = positions.find(({ stream }) => stream === this.#stream);
    if (position === undefined || position.offset <= this.#consumed) return;
    this.#consumed = position.offset;
    for (const [offset, resolve] of this.#waiting) {
      if (offset > this.#consumed) continue;
      this.#waiting.delete(offset);
      resolve(DUPLICATE);
    }
  }

  /** Nobody waits any longer. */
  forget(offset: number): void {
    this.#waiting.delete(offset);
  }

  #of(offset: number): Promise<Decision> {
    const known = this.#recent.get(offset);
    if (known !== undefined) return Promise.resolve(known);
    if (offset <= this.#consumed) return Promise.resolve(DUPLICATE);
    return new Promise((resolve) => this.#waiting.set(offset, resolve));
  }

  #look(entries: readonly Entry[], first: number): void {
    for (const [index, { cause, refusal }] of entries.entries()) {
      if (
        cause.kind === 'timer' ||
        cause.stream !== this.#stream ||
        cause.offset === undefined ||
        cause.offset === null
      )
        continue;
      const decision = { sequence: first + index, refusal };
      const resolve = this.#waiting.get(cause.offset);
      this.#waiting.delete(cause.offset);
      if (resolve !== undefined) resolve(decision);
      // An input may leave several entries: its first one tells.
      else if (this.#sending > 0 && !this.#recent.has(cause.offset)) this.#recent.set(cause.offset, decision);
    }
  }
}
