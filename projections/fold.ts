import { setImmediate } from 'node:timers/promises';
import { peekEntry } from '../log/entry-text.ts';
import type { StoredEntry } from '../log/port.ts';
import { Touches } from './touched.ts';

/**
 * The fold from entries to rows, used by rebuild, as-of and audit. It assigns what the entries recorded, decides nothing and sends
 * nothing (invariant 9). The inline projection does not call `fold`; it shares the buffer, the touched rows and the row writer.
 */

/** The number of entries between two turns of the event loop, so that a service stays responsive during a rebuild. */
const TURN_ENTRIES = 2000;
/** Buffered rows before a write. Only the last entry of each attempt in the buffer is parsed. */
const BUFFER_ROWS = 4096;

/** A stored entry whose text may be parsed lazily. */
export type FoldedEntry = Pick<StoredEntry, 'sequence' | 'text' | 'entry'>;

export type FoldProgress = (entries: number) => void;

/** Buffers the rows that entries assign. */
export class FoldBuffer {
  #touches = new Touches();

  get isFull(): boolean {
    return this.#touches.size >= BUFFER_ROWS;
  }

  add(stored: FoldedEntry): void {
    const peeked = peekEntry(stored.text);
    if (peeked === null) this.#touches.add(stored.sequence, stored.entry);
    else this.#touches.addPeeked(stored.sequence, peeked, stored);
  }

  /** Returns the buffered rows and empties the buffer. */
  take(): Touches {
    const touches = this.#touches;
    this.#touches = new Touches();
    return touches;
  }
}

export type Folding<Folded extends FoldedEntry> = {
  readonly write: (touches: Touches) => void | Promise<void>;
  /** Returns false for an entry that the projections must not contain. Default: true for all entries. */
  readonly accepts?: (stored: Folded) => boolean;
  readonly progress?: FoldProgress;
};

/**
 * Folds entries in their order and writes the rows in batches.
 * @returns the number of entries read.
 */
export async function fold<Folded extends FoldedEntry>(
  entries: AsyncIterable<Folded>,
  { write, accepts = () => true, progress = () => {} }: Folding<Folded>,
): Promise<number> {
  const buffer = new FoldBuffer();
  let count = 0;
  try {
    for await (const stored of entries) {
      if (accepts(stored)) buffer.add(stored);
      count += 1;
      if (count % TURN_ENTRIES > 0) continue;
      if (buffer.isFull) await write(buffer.take());
      progress(count);
      await setImmediate();
    }
  } finally {
    // The audit continues behind a damaged entry, so the entries before it must be written.
    await write(buffer.take());
  }
  progress(count);
  return count;
}
