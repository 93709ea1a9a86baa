import type { Entry } from '../../events/entries.ts';
import type { Head, InputPosition } from '../../log/port.ts';
import { inputsAltered } from './offset-range.ts';

/** The decision on a sent input: the sequence of its first entry, or null for a duplicate; and the refusal, if any. */
export type Decision = { readonly sequence: number | null; readonly refusal: Entry['refusal'] };

const DUPLICATE: Decision = { sequence: null, refusal: null };

/**
 * Finds the decisions on inputs that this instance sent to one partition, by their offsets in the committed entries. An input
 * that was consumed without an entry is a duplicate.
 */
export class DecisionTracker {
  #stream: string;
  /** The offset of the last consumed input. */
  #consumed: number;
  /** The largest offset assigned to a send. */
  #sent = -1;
  /** Sends without offsets yet, oldest first. The records of a send have offsets greater than `behind`. */
  readonly #sending = new Set<{ readonly behind: number }>();
  readonly #recent = new Map<number, Decision>();
  readonly #waiting = new Map<number, (decision: Decision) => void>();

  constructor(stream: string, consumed: number) {
    this.#stream = stream;
    this.#consumed = consumed;
  }

  /**
   * Must be called before records are sent, and `finish` with their first offset afterwards, or with null if the send failed.
   * @throws Fault INPUTS_ALTERED from `finish` if an offset was assigned before: the owner would skip the records as consumed.
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
            throw inputsAltered(`${this.#stream} assigned offset ${first} twice`);
          this.#sent = Math.max(this.#sent, first + count - 1);
          return Array.from({ length: count }, (_, index) => this.#decisionOn(first + index));
        } finally {
          this.#sending.delete(sending);
          this.#forgetRecent();
        }
      },
    };
  }

  /** The number of decisions retained for sends under way. */
  get retainedCount(): number {
    return this.#recent.size;
  }

  /** Processes entries and input positions that became readable. */
  applyCommitted(entries: readonly Entry[], head: Head, inputPositions: readonly InputPosition[]): void {
    if (this.#sending.size > 0 || this.#waiting.size > 0)
      this.#matchEntries(entries, head.sequence - entries.length + 1);
    const position = inputPositions.find(({ stream }) => stream === this.#stream);
    if (position === undefined || position.offset <= this.#consumed) return;
    this.#consumed = position.offset;
    for (const [offset, resolve] of this.#waiting) {
      if (offset > this.#consumed) continue;
      this.#waiting.delete(offset);
      resolve(DUPLICATE);
    }
  }

  /** Starts over with a recreated topic, whose offsets begin again. Decisions on pending sends are expected in the new stream. */
  switchStream(stream: string): void {
    if (stream === this.#stream) return;
    this.#stream = stream;
    this.#consumed = -1;
    this.#sent = -1;
    this.#recent.clear();
  }

  /** Forgets an input whose sender no longer waits for the decision. */
  forget(offset: number): void {
    this.#waiting.delete(offset);
  }

  /** Deletes the decisions consumed before the oldest pending send began. Decisions are in input order. */
  #forgetRecent(): void {
    const [oldest] = this.#sending;
    if (oldest === undefined) return this.#recent.clear();
    for (const offset of this.#recent.keys()) {
      if (offset > oldest.behind) return;
      this.#recent.delete(offset);
    }
  }

  #decisionOn(offset: number): Promise<Decision> {
    const known = this.#recent.get(offset);
    if (known !== undefined) return Promise.resolve(known);
    if (offset <= this.#consumed) return Promise.resolve(DUPLICATE);
    return new Promise((resolve) => this.#waiting.set(offset, resolve));
  }

  #matchEntries(entries: readonly Entry[], first: number): void {
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
      // An input may have several entries; its first entry holds the decision.
      else if (this.#sending.size > 0 && !this.#recent.has(cause.offset)) this.#recent.set(cause.offset, decision);
    }
  }
}
