import { createHash } from 'node:crypto';
import { INPUT_BYTES_MAX } from '../events/cloud-event.ts';
import { MALFORMED_BYTES_KEPT } from '../events/entry-version.ts';
import { endOfCharacter, type Excerpt, keptOf } from '../log/kept-bytes.ts';

/**
 * A line of an ndjson stream. Lines above the size limit keep only their first bytes, length and digest, so memory
 * stays constant. `torn` is true if the stream ended without a newline.
 */
export type Line = {
  /** The line number, starting at 1. */
  number: number;
  text: string;
  bytes: number;
  oversized: boolean;
  torn: boolean;
  /** The SHA-256 of the whole line in hex; null unless the line is oversized. */
  digest: string | null;
  /** The bytes of `text`. */
  raw: Buffer;
};

const NEWLINE = 0x0a;
/** Some editors write a byte order mark at the start of a file. */
const BYTE_ORDER_MARK = '\ufeff';

export async function* readLines(
  stream: AsyncIterable<Buffer | string>,
  bytesMax = INPUT_BYTES_MAX,
): AsyncGenerator<Line> {
  const line = new GrowingLine(bytesMax);
  for await (const chunk of stream) {
    const buffer = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    let start = 0;
    for (let end = buffer.indexOf(NEWLINE); end !== -1; end = buffer.indexOf(NEWLINE, start)) {
      line.add(buffer.subarray(start, end));
      yield line.take(false);
      start = end + 1;
    }
    line.add(buffer.subarray(start));
  }
  if (line.bytes > 0) yield line.take(true);
}

class GrowingLine {
  readonly #bytesMax: number;
  #parts: Buffer[] = [];
  #number = 0;
  #hash: ReturnType<typeof createHash> | null = null;
  bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  add(part: Buffer): void {
    if (part.length === 0) return;
    this.bytes += part.length;
    if (this.#hash === null && this.bytes > this.#bytesMax) this.#overflow();
    if (this.#hash === null) this.#parts.push(part);
    else this.#hash.update(part);
  }

  /** Switches to counting and hashing the rest of the line. */
  #overflow(): void {
    const kept = Buffer.concat(this.#parts);
    this.#hash = createHash('sha256').update(kept);
    this.#parts = [kept.subarray(0, endOfCharacter(kept, MALFORMED_BYTES_KEPT))];
  }

  take(torn: boolean): Line {
    this.#number += 1;
    const whole =
      this.#parts.length === 1 && this.#parts[0] !== undefined ? this.#parts[0] : Buffer.concat(this.#parts);
    const line: Line = {
      number: this.#number,
      text: this.#number === 1 ? withoutMark(whole.toString('utf8')) : whole.toString('utf8'),
      bytes: this.bytes,
      oversized: this.#hash !== null,
      torn,
      digest: this.#hash?.digest('hex') ?? null,
      raw: whole,
    };
    this.#parts = [];
    this.#hash = null;
    this.bytes = 0;
    return line;
  }
}

/** Returns the part of an invalid line that the dead letters keep. */
export function keptOfLine({ raw, bytes, digest }: Line): Excerpt {
  const kept = keptOf(raw);
  return digest === null ? kept : { ...kept, bytes, digest };
}

function withoutMark(text: string): string {
  return text.startsWith(BYTE_ORDER_MARK) ? text.slice(BYTE_ORDER_MARK.length) : text;
}
