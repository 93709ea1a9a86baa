import type { IHeaders, KafkaMessage, Message } from 'kafkajs';
import type { Entry } from '../../events/entries.ts';
import type { Link } from '../chain.ts';
import type { InputPosition } from '../port.ts';

/**
 * How the ledger stands in its topic. An entry is a record: its text as the value, the VM as the key, sequence and hashes in
 * headers. Two more kinds of record stand between entries and are no part of the chain: `claim`, by which an owner marks
 * where its time begins, and `positions`, for inputs that were consumed and left no entry.
 *
 * The positions that a commit consumed stand in the headers of its last record: what was consumed is learnt from the tail of
 * the ledger, with the entries or not at all.
 */

export type LedgerRecord =
  | { readonly kind: 'entry'; readonly link: Link; readonly positions: readonly InputPosition[] }
  | { readonly kind: 'positions'; readonly positions: readonly InputPosition[] }
  | { readonly kind: 'claim'; readonly claim: string }
  /** Nothing that Landfall wrote. */
  | { readonly kind: 'foreign'; readonly reason: string };

const KIND = 'landfall';
const HASH_BYTES = 32;

export function entryMessages(
  partition: number,
  links: readonly Link[],
  entries: readonly Entry[],
  positions: readonly InputPosition[],
): Message[] {
  const last = links.length - 1;
  return links.map((link, index) => ({
    partition,
    key: entries[index]?.vm ?? null,
    value: link.text,
    headers: {
      [KIND]: 'entry',
      sequence: String(link.sequence),
      previous: Buffer.from(link.previous, 'hex'),
      hash: Buffer.from(link.hash, 'hex'),
      ...(index === last && positions.length > 0 ? { positions: positionsText(positions) } : {}),
    },
  }));
}

export function positionsMessage(partition: number, positions: readonly InputPosition[]): Message {
  return { partition, key: null, value: null, headers: { [KIND]: 'positions', positions: positionsText(positions) } };
}

/** @param claim a name of its own for every claim. */
export function claimMessage(partition: number, claim: string, instance: string): Message {
  return { partition, key: null, value: null, headers: { [KIND]: 'claim', claim, instance } };
}

export function recordOf(partition: number, { value, headers = {} }: KafkaMessage): LedgerRecord {
  switch (text(headers, KIND)) {
    case 'entry':
      return entryOf(partition, value, headers);
    case 'positions': {
      const positions = positionsIn(headers);
      return positions === null ? foreign('its positions cannot be read') : { kind: 'positions', positions };
    }
    case 'claim':
      return { kind: 'claim', claim: text(headers, 'claim') ?? '' };
    default:
      return foreign('it has no header of Landfall');
  }
}

function entryOf(partition: number, value: Buffer | null, headers: IHeaders): LedgerRecord {
  const sequence = Number(text(headers, 'sequence'));
  const [previous, hash] = [hexIn(headers, 'previous'), hexIn(headers, 'hash')];
  const positions = positionsIn(headers);
  if (!Number.isSafeInteger(sequence) || sequence < 1) return foreign('its sequence is no number');
  if (previous === null || hash === null || value === null || positions === null) return foreign('it is incomplete');
  return { kind: 'entry', link: { partition, sequence, previous, hash, text: value.toString() }, positions };
}

const foreign = (reason: string): LedgerRecord => ({ kind: 'foreign', reason });

function positionsText(positions: readonly InputPosition[]): string {
  return JSON.stringify(positions.map(({ stream, offset }) => [stream, offset]));
}

/** Those of a record; none where it has no such header, null where they cannot be read. */
function positionsIn(headers: IHeaders): InputPosition[] | null {
  const given = text(headers, 'positions');
  if (given === null) return [];
  try {
    const pairs: unknown = JSON.parse(given);
    return Array.isArray(pairs) ? pairs.map(positionOf) : null;
  } catch {
    return null;
  }
}

function positionOf(pair: unknown): InputPosition {
  if (!Array.isArray(pair) || typeof pair[0] !== 'string' || !Number.isSafeInteger(pair[1]))
    throw new TypeError('pair');
  return { stream: pair[0], offset: Number(pair[1]) };
}

function text(headers: IHeaders, name: string): string | null {
  const value = one(headers, name);
  return value === undefined ? null : value.toString();
}

function hexIn(headers: IHeaders, name: string): string | null {
  const value = one(headers, name);
  return Buffer.isBuffer(value) && value.length === HASH_BYTES ? value.toString('hex') : null;
}

function one(headers: IHeaders, name: string): Buffer | string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}
