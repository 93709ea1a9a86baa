import type { Cause, Entry } from '../events/entries.ts';
import { toEvent } from '../events/cloud-event.ts';
import type { Fault } from '../events/fault.ts';
import { sha256 } from '../log/chain.ts';
import { keptOf, originalOf } from '../log/kept-bytes.ts';

/** A refused input: the reason, its position in its stream, and its original content. */
export type DeadLetter = {
  code: string;
  message: string;
  remedy: string;
  stream: string | null;
  offset: number | null;
  /** SHA-256 of the whole original. */
  digest: string;
  /** The size of the whole original in bytes. A truncated `text` is shorter. */
  bytes: number;
  /** The original, or its first bytes if it was too large. An input that was parsed is stored as its CloudEvent. */
  text: string;
  /** Present when the original is not UTF-8: `text` is its bytes in base64. */
  encoding?: 'base64';
};

/** Returns the dead letters of a committed batch, in the order of its entries. */
export function deadLettersOf(entries: readonly Entry[]): DeadLetter[] {
  return entries.flatMap(({ vm, cause, refusal }) => {
    if (refusal === null || cause.kind === 'timer') return [];
    const position = { stream: cause.stream ?? null, offset: cause.offset ?? null };
    return [{ ...refusal, ...position, digest: cause.digest, ...contentOf(vm, cause) }];
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
      // An operator can send this CloudEvent again under a new id.
      const text = JSON.stringify(toEvent({ ...cause, vm }));
      return { bytes: Buffer.byteLength(text), text };
    }
  }
}

/** Returns a dead letter as a Kafka record: the value is the original, the headers give the reason and the position. */
export function recordOfLetter(letter: DeadLetter): LetterRecord {
  return letterRecord(letter, originalOf(letter));
}

/** Returns the dead letter of a record that was too large for its topic: its first bytes and the reason. */
export function recordOfTruncated({ code, message, remedy }: Fault, value: Buffer): LetterRecord {
  return recordOfLetter({ code, message, remedy, stream: null, offset: null, ...keptOf(value) });
}

type LetterRecord = { readonly key: null; readonly value: Buffer; readonly headers: Record<string, string> };

/** The bytes kept of a record from a mapped topic. Kafka limits the size of a record, so the dead letter must stay small. */
const FOREIGN_BYTES_KEPT = 512 * 1024;

/** Returns the dead letter of a record from a mapped topic that could not be converted into an input. */
export function recordOfUnmapped(
  { code, message, remedy }: Fault,
  position: { stream: string; offset: number },
  value: Buffer,
): LetterRecord {
  const about = { code, message, remedy, ...position, digest: sha256(value), bytes: value.length };
  return letterRecord(about, value.subarray(0, FOREIGN_BYTES_KEPT));
}

/** Makes the record of a dead letter. The header `cut` marks a value that is only the first bytes of the original. */
function letterRecord(about: Omit<DeadLetter, 'text' | 'encoding'>, value: Buffer): LetterRecord {
  const { code, message, remedy, stream, offset, digest, bytes } = about;
  const position = stream === null || offset === null ? {} : { stream, offset: String(offset) };
  const cut = value.length < bytes ? { cut: 'true' } : {};
  return { key: null, value, headers: { code, message, remedy, digest, bytes: String(bytes), ...cut, ...position } };
}
