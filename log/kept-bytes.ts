import { isUtf8 } from 'node:buffer';
import { Fault } from '../events/fault.ts';
import { MALFORMED_BYTES_KEPT } from '../events/entry-version.ts';
import { sha256 } from './chain.ts';

/** The excerpt of a malformed input that the ledger stores. */
export type Excerpt = {
  readonly text: string;
  /** Absent if the input was valid UTF-8; `text` then holds the characters themselves. */
  readonly encoding?: 'base64';
  /** The size of the whole input in bytes. */
  readonly bytes: number;
  /** SHA-256 of the whole input, in hex. */
  readonly digest: string;
};

/**
 * Refuses bytes that are not valid UTF-8. Decoding replaces every invalid byte by the same character, so two different ids would
 * become one.
 * @throws Fault BAD_UTF8.
 */
export function requireUtf8(bytes: Buffer): void {
  if (isUtf8(bytes)) return;
  throw new Fault('BAD_UTF8', 'the text is not valid UTF-8', 'Encode JSON as UTF-8.');
}

/** Three bytes become four base64 characters. */
const BASE64_BYTES_KEPT = (MALFORMED_BYTES_KEPT / 4) * 3;

/** Returns an excerpt of the first bytes, in base64 if they are not valid UTF-8. */
export function keptOf(bytes: Buffer): Excerpt {
  const whole = { bytes: bytes.length, digest: sha256(bytes) };
  if (isUtf8(bytes))
    return { text: bytes.subarray(0, endOfCharacter(bytes, MALFORMED_BYTES_KEPT)).toString(), ...whole };
  return { text: bytes.subarray(0, BASE64_BYTES_KEPT).toString('base64'), encoding: 'base64', ...whole };
}

/** Returns the bytes of an excerpt. */
export function originalOf({ text, encoding }: { text: string; encoding?: 'base64' | undefined }): Buffer {
  return Buffer.from(text, encoding ?? 'utf8');
}

/** Returns the last index up to `max` at which cutting does not split a UTF-8 character. */
export function endOfCharacter(bytes: Buffer, max: number): number {
  let end = Math.min(bytes.length, max);
  while (end < bytes.length && isContinuation(bytes[end] ?? 0)) end -= 1;
  return end;
}

const isContinuation = (byte: number) => byte >= 0x80 && byte < 0xc0;
