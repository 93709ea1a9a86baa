import { hash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { Fault } from '../events/fault.ts';
import { entryOf } from './entry-text.ts';
import { formatPosition, type Head, type Position, type StoredEntry } from './port.ts';

/**
 * The hash chain. Each entry's hash covers its text and the hash before it, so whoever alters, drops or moves an entry must
 * rewrite all that follow, and a head kept elsewhere gives that away too. A cut tail alone is found by such a head only.
 */

export type BreakReason = 'altered' | 'missing' | 'reordered';

/** The first entry that breaks the chain. */
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

/** SHA-256 in hex, as every digest of Landfall is written. */
export function sha256(text: string | Uint8Array): string {
  return hash('sha256', text);
}

/** Bytes that one character takes at most. */
const UTF8_BYTES_MAX = 3;
/** What is hashed is put together here, in a third less time than as a string. */
let together = Buffer.allocUnsafeSlow(64 * 1024);

/** The hash of an entry's text that follows the entry with the hash `previous`. */
export function link(previous: string, text: string): string {
  const most = (previous.length + 1 + text.length) * UTF8_BYTES_MAX;
  if (most > together.length) together = Buffer.allocUnsafeSlow(most);
  let end = together.write(previous, 0);
  end += together.write('\n', end);
  end += together.write(text, end);
  return hash('sha256', together.subarray(0, end));
}

/** What is checked of an entry to extend a head: all but its parsed form. */
export type Link = Omit<StoredEntry, 'entry'>;

/**
 * The head after one more entry.
 * @throws ChainFault where the entry does not follow `head`, or is not what was hashed.
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
 * Checks entries against the head that they follow: density, links, hashes, and that each text is its entry's.
 * @returns the head after the last of them.
 * @throws ChainFault naming the first bad one.
 */
export async function verify(entries: AsyncIterable<StoredEntry>, start: Head): Promise<Head> {
  let head = start;
  for await (const stored of entries) {
    head = extend(head, stored);
    if (!isEntryOfText(stored)) throw new ChainFault(stored, 'altered', 'its text says something else');
  }
  return head;
}

/** Compares as text first, which is quick; an entry that was lifted from an older version differs there, and is parsed anew. */
function isEntryOfText({ entry, text }: StoredEntry): boolean {
  return JSON.stringify(entry) === text || isDeepStrictEqual(entry, entryOf(text));
}
