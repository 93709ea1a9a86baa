import type { IHeaders, KafkaMessage, Message } from 'kafkajs';
import { z } from 'zod';
import type { Entry } from '../../events/entries.ts';
import type { Link } from '../chain.ts';
import type { InputPosition } from '../port.ts';

/**
 * How the ledger stands in its topic. An entry is a record: its text as the value, the VM as the key, sequence and hashes in
 * a header. Two more kinds of record stand between entries and are no part of the chain: `claim`, by which an owner marks
 * where its time begins, and `positions`, for inputs that were consumed and left no entry.
 *
 * The positions that a commit consumed stand in the header of its last record: what was consumed is learnt from the tail of
 * the ledger, with the entries or not at all.
 */

export type LedgerRecord =
  | { readonly kind: 'entry'; readonly link: Link; readonly positions: readonly InputPosition[] }
  | { readonly kind: 'positions'; readonly positions: readonly InputPosition[] }
  | { readonly kind: 'claim'; readonly claim: string }
  /** Nothing that Landfall wrote. */
  | { readonly kind: 'foreign'; readonly reason: string };

/** One header holds all: it is parsed once. */
const HEADER = 'landfall';

const Sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const Positions = z.array(z.tuple([z.string(), z.number().int()]));
const Header = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('entry'),
    sequence: z.number().int().positive(),
    previous: Sha256,
    hash: Sha256,
    positions: Positions.optional(),
  }),
  z.object({ kind: z.literal('positions'), positions: Positions }),
  z.object({ kind: z.literal('claim'), claim: z.string(), instance: z.string() }),
]);
type Header = z.infer<typeof Header>;

export function entryMessages(
  partition: number,
  links: readonly Link[],
  entries: readonly Entry[],
  positions: readonly InputPosition[],
): Message[] {
  const last = links.length - 1;
  return links.map(({ sequence, previous, hash, text }, index) => {
    const consumed = index === last && positions.length > 0 ? { positions: pairsOf(positions) } : {};
    return message(partition, { kind: 'entry', sequence, previous, hash, ...consumed }, entries[index]?.vm, text);
  });
}

export function positionsMessage(partition: number, positions: readonly InputPosition[]): Message {
  return message(partition, { kind: 'positions', positions: pairsOf(positions) });
}

/** @param claim a name of its own for every claim. */
export function claimMessage(partition: number, claim: string, instance: string): Message {
  return message(partition, { kind: 'claim', claim, instance });
}

function message(partition: number, header: Header, key: string | null = null, value: string | null = null): Message {
  return { partition, key, value, headers: { [HEADER]: JSON.stringify(header) } };
}

export function recordOf(partition: number, { value, headers = {} }: KafkaMessage): LedgerRecord {
  const header = headerIn(headers);
  if (header === null) return { kind: 'foreign', reason: 'it has no header of Landfall' };
  switch (header.kind) {
    case 'entry': {
      if (value === null) return { kind: 'foreign', reason: 'it is incomplete' };
      const { sequence, previous, hash, positions = [] } = header;
      const link = { partition, sequence, previous, hash, text: value.toString() };
      return { kind: 'entry', link, positions: positions.map(positionOf) };
    }
    case 'positions':
      return { kind: 'positions', positions: header.positions.map(positionOf) };
    case 'claim':
      return { kind: 'claim', claim: header.claim };
  }
}

function headerIn(headers: IHeaders): Header | null {
  const given = headers[HEADER];
  const text = (Array.isArray(given) ? given[0] : given)?.toString() ?? '';
  try {
    return Header.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

const pairsOf = (positions: readonly InputPosition[]) =>
  positions.map(({ stream, offset }): [string, number] => [stream, offset]);
const positionOf = ([stream, offset]: readonly [string, number]): InputPosition => ({ stream, offset });
