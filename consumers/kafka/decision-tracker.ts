import type { Entry } from '../../events/entries.ts';
import type { Head, InputPosition } from '../../log/port.ts';
import { inputsAltered } from './offset-range.ts';

/**
 * What the owners decided about inputs that this instance put into the topic: each is found in the ledger by where it stands
 * among the inputs. One that was consumed and left no entry is a duplicate.
 */

export type Decision = { readonly sequence: number | null; readonly refusal: Entry['refusal'] };

const DUPLICATE: Decision = { sequence: null, refusal: null };

/** One partition's. */
export class DecisionTracker {
  #stream: string;
  /** How far inputs were consumed. */
  #consumed: number;
  /** The newest offset that a send was given. */
  #sent = -1;
  /**
   * Sends that do not know their offsets yet, oldest first, each with the offset behind which its records can only be; what is
   * decided meanwhile may be about them.
   */
  readonly #sending = new Set<{ readonly behind: number }>();
  readonly #recent = new Map<number, Decision>();
  readonly #waiting = new Map<number, (decision: Decision) => void>();

  constructor(stream: string, consumed: number) {
    this.#stream = stream;
    this.#consumed = consumed;
  }

  /**
   * To be called before the records are sent, and `sent` with what came of that. @throws Fault INPUTS_ALTERED where they were
   * given offsets that had been given before: whoever decides would pass them over, as taken already.
   */
  beginSend(): { finish: (first: number | null, count: number) => Promise<Decision>[] } {
    const sending = { behind: this.#consumed };
    this.#sending.add(sending);
    const given = this.#sent;
    return {
      finish: (first, count) => {
        try {
          if (first === null) return [];
          if (first <= Math.max(sending.behind, given))
            throw inputsAltered(`${this.#stream} gave offset ${first} again`);
          this.#sent = Math.max(this.#sent, first + count - 1);
          return Array.from({ length: count }, (_, index) => this.#of(first + index));
        } finally {
          this.#sending.delete(sending);
          this.#forgetRecent();
        }
      },
    };
  }

  /** How many decisions are kept for sends under way. */
  get retainedCount(): number {
    return this.#recent.size;
  }

  /** Entries can be read, and inputs count as consumed. */
  applyCommitted(entries: readonly Entry[], head: Head, inputPositions: readonly InputPosition[]): void {
    if (this.#sending.size > 0 || this.#waiting.size > 0) this.#look(entries, head.sequence - entries.length + 1);
    const position = inputPositions.find(({ stream }) => stream === this.#stream);
    if (position === undefined || position.offset <= this.#consumed) return;
    this.#consumed = position.offset;
    for (const [offset, resolve] of this.#waiting) {
      if (offset > this.#consumed) continue;
      this.#waiting.delete(offset);
      resolve(DUPLICATE);
    }
  }

  /** The topic was made anew: its offsets begin again, and what was sent into it already is waited for under its new name. */
  switchStream(stream: string): void {
    if (stream === this.#stream) return;
    this.#stream = stream;
    this.#consumed = -1;
    this.#sent = -1;
    this.#recent.clear();
  }

  /** Nobody waits any longer. */
  forget(offset: number): void {
    this.#waiting.delete(offset);
  }

  /** No send under way is about what was consumed before it began. They are in the order of the inputs. */
  #forgetRecent(): void {
    const [oldest] = this.#sending;
    if (oldest === undefined) return this.#recent.clear();
    for (const offset of this.#recent.keys()) {
      if (offset > oldest.behind) return;
      this.#recent.delete(offset);
    }
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
      else if (this.#sending.size > 0 && !this.#recent.has(cause.offset)) this.#recent.set(cause.offset, decision);
    }
  }
}
