import type { Cause, Entry } from '../events/entries.ts';
import { toEvent } from '../events/cloud-event.ts';
import type { Fault } from '../events/fault.ts';
import { sha256 } from '../log/chain.ts';
import { keptOf, originalOf } from '../log/kept-bytes.ts';

/** An input that was refused, as it leaves for whoever can mend it: why, where it stood, and what it was. */
export type DeadLetter = {
  code: string;
  message: string;
  remedy: string;
  stream: string | null;
  offset: number | null;
  /** Of all of it. */
  digest: string;
  /** The length of all of it; more than `text` has, where it was cut. */
  bytes: number;
  /** The original, or its first bytes where it was too large; an input that was understood is the CloudEvent that it was. */
  text: string;
  /** Where the original is no UTF-8, `text` is its bytes in base64. */
  encoding?: 'base64';
};

/** The dead letters of a committed batch, in its order. */
export function deadLettersOf(entries: readonly Entry[]): DeadLetter[] {
  return entries.flatMap(({ vm, cause, refusal }) => {
    if (refusal === null || cause.kind === 'timer') return [];
    const place = { stream: cause.stream ?? null, offset: cause.offset ?? null };
    return [{ ...refusal, ...place, digest: cause.digest, ...contentOf(vm, cause) }];
  });
}

type Content = Pick<DeadLetter, 'bytes' | 'text' | 'encoding'>;

function contentOf(vm: string | null, cause: Exclude<Cause, { kind: 'timer' }>): Content {
  switch (cause.kind) {
    case 'malformed': {
      const { text, bytes, encoding } = cause;
      return { bytes, text, ...(encoding === undefined ? {} : { encoding }) };
    }
    case 'input': {
      // With an id of its own it could be sent again as it is.
      const text = JSON.stringify(toEvent({ ...cause, vm }));
      return { bytes: Buffer.byteLength(text), text };
    }
  }
}

/** A letter in a topic: its value is the original, and why it was refused, and where it stood, stand beside it. */
export function recordOfLetter(letter: DeadLetter): LetterRecord {
  return letterRecord(letter, originalOf(letter));
}

/** What cannot leave whole: its first bytes, and why. */
export function recordOfTruncated({ code, message, remedy }: Fault, value: Buffer): LetterRecord {
  return recordOfLetter({ code, message, remedy, stream: null, offset: null, ...keptOf(value) });
}

type LetterRecord = { readonly key: null; readonly value: Buffer; readonly headers: Record<string, string> };

/** The most that is kept of a record of somebody else's: the topic takes no message of any length. */
const FOREIGN_BYTES_KEPT = 512 * 1024;

/** The same of a record that never became an input. */
export function recordOfForeign(
  { code, message, remedy }: Fault,
  place: { stream: string; offset: number },
  value: Buffer,
): LetterRecord {
  const about = { code, message, remedy, ...place, digest: sha256(value), bytes: value.length };
  return letterRecord(about, value.subarray(0, FOREIGN_BYTES_KEPT));
}

/** `cut`: the value is only the first bytes. */
function letterRecord(about: Omit<DeadLetter, 'text' | 'encoding'>, value: Buffer): LetterRecord {
  const { code, message, remedy, stream, offset, digest, bytes } = about;
  const place = stream === null || offset === null ? {} : { stream, offset: String(offset) };
  const cut = value.length < bytes ? { cut: 'true' } : {};
  return { key: null, value, headers: { code, message, remedy, digest, bytes: String(bytes), ...cut, ...place } };
}
