import { isUtf8 } from 'node:buffer';
import { MALFORMED_BYTES_KEPT } from '../events/entry-version.ts';
import { sha256 } from './chain.ts';

/** What the ledger keeps of something that could not be read: its first bytes, and what is said of all of them. */
export type Kept = {
  readonly text: string;
  /** Absent: `text` is the bytes as UTF-8, which they were. */
  readonly encoding?: 'base64';
  /** How many there were. */
  readonly bytes: number;
  /** SHA-256 of all of them, in hex. */
  readonly digest: string;
};

/** In base64 three bytes take four characters. */
const BASE64_BYTES_KEPT = (MALFORMED_BYTES_KEPT / 4) * 3;

/** Text that is no UTF-8 would be other bytes when it is written again. */
export function keptOf(bytes: Buffer): Kept {
  const whole = { bytes: bytes.length, digest: sha256(bytes) };
  if (isUtf8(bytes))
    return { text: bytes.subarray(0, endOfCharacter(bytes, MALFORMED_BYTES_KEPT)).toString(), ...whole };
  return { text: bytes.subarray(0, BASE64_BYTES_KEPT).toString('base64'), encoding: 'base64', ...whole };
}

/** The bytes themselves, as far as they were kept. */
export function originalOf({ text, encoding }: { text: string; encoding?: 'base64' | undefined }): Buffer {
  return Buffer.from(text, encoding ?? 'utf8');
}

/** Where to cut, so that no character of UTF-8 is halved. */
export function endOfCharacter(bytes: Buffer, max: number): number {
  let end = Math.min(bytes.length, max);
  while (end < bytes.length && isContinuation(bytes[end] ?? 0)) end -= 1;
  return end;
}

const isContinuation = (byte: number) => byte >= 0x80 && byte < 0xc0;
