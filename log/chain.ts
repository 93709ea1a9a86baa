import { hash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { Fault } from '../events/fault.ts';
import { entryOf } from './entry-text.ts';
import { formatPosition, type Head, type Position, type StoredEntry } from './port.ts';

/**
 * The hash chain. The hash of an entry covers its text and the previous hash, so altering, dropping or moving an entry changes
 * all later hashes. A head stored outside the ledger reveals a rewritten chain and a cut tail.
 */

export type BreakReason = 'altered' | 'missing' | 'reordered';

/** The fault of a broken chain; names the first entry that breaks the chain. */
export class ChainFault extends Fault {
  readonly position: Position;
  readonly reason: BreakReason;

  constructor(position: Position, reason: BreakReason, detail: string, cause?: unknown) {
    super(
      'LEDGER_ALTERED',
      `entry ${formatPosition(position)} is ${reason}: ${detail}`,
      'Keep the file as it is for an examination, and continue from a backup; `landfall audit` checks one.',
      cause,
    );
    this.position = { partition: position.partition, sequence: position.sequence };
    this.reason = reason;
  }
}

/** Returns the SHA-256 in hex. */
export function sha256(text: string | Uint8Array): string {
  return hash('sha256', text);
}

/** The largest number of UTF-8 bytes for one UTF-16 code unit. */
const UTF8_BYTES_MAX = 3;
/** A reused buffer for the bytes to hash; concatenating strings takes a third longer. */
let scratch = Buffer.allocUnsafeSlow(64 * 1024);

/** Returns the hash of an entry's text, given the hash of the previous entry. */
export function link(previous: string, text: string): string {
  const most = (previous.length + 1 + text.length) * UTF8_BYTES_MAX;
  if (most > scratch.length) scratch = Buffer.allocUnsafeSlow(most);
  let end = scratch.write(previous, 0);
  end += scratch.write('\n', end);
  end += scratch.write(text, end);
  return hash('sha256', scratch.subarray(0, end));
}

/** A stored entry without its parsed form: the part that the chain covers. */
export type Link = Omit<StoredEntry, 'entry'>;

/**
 * Returns the head after one more entry.
 * @throws ChainFault if the entry does not follow `head`, or its text does not match its hash.
 */
export function extend(head: Head, stored: Link): Head {
  const position = { partition: stored.partition, sequence: stored.sequence };
  const expected = { partition: stored.partition, sequence: head.sequence + 1 };
  if (stored.sequence > expected.sequence) {
    throw new ChainFault(expected, 'missing', `the next one found is ${formatPosition(position)}`);
  }
  if (stored.sequence < expected.sequence) {
    throw new ChainFault(position, 'reordered', `${formatPosition(expected)} was expected here`);
  }
  if (link(stored.previous, stored.text) !== stored.hash) {
    throw new ChainFault(position, 'altered', 'its text and its hash do not belong together');
  }
  if (stored.previous !== head.hash) {
    throw new ChainFault(position, 'reordered', 'it is whole, but it followed another entry than the one before it');
  }
  return { sequence: stored.sequence, hash: stored.hash };
}

/**
 * Checks that entries follow the head `start` without a gap, match their hashes, and match their texts.
 * @returns the head after the last entry.
 * @throws ChainFault naming the first bad entry.
 */
export async function verify(entries: AsyncIterable<StoredEntry>, start: Head): Promise<Head> {
  let head = start;
  for await (const stored of entries) {
    head = extend(head, stored);
    if (!isEntryOfText(stored)) throw new ChainFault(stored, 'altered', 'its text says something else');
  }
  return head;
}

/**
 * Compares the text first, which is fast. An entry of an older version differs from its stored text, so the text is
 * parsed for the comparison.
 */
function isEntryOfText({ entry, text }: StoredEntry): boolean {
  return JSON.stringify(entry) === text || isDeepStrictEqual(entry, entryOf(text));
}
