import { z } from 'zod';
import type { Entry } from '../../events/entries.ts';
import type { FetchedRecord, NewRecord, RecordHeaders } from '../../kafka/port.ts';
import type { Link } from '../chain.ts';
import type { Batch, Checkpoint, InputPosition } from '../port.ts';

/**
 * The record format of the ledger's topic. An entry is a record with its text as the value, the VM as the key, and sequence and
 * hashes in a header. Two more kinds of record are not part of the chain: `claim` marks the point from which a new owner
 * writes, and `positions` holds input positions and checkpoints that were committed without an entry.
 *
 * The header of the last record of a commit has the input positions and checkpoints of that commit, so an owner reads them from
 * the tail of the ledger together with the entries.
 */

/** The input positions and checkpoints that one transaction commits. */
export type Progressed = Required<Pick<Batch, 'inputPositions' | 'checkpoints'>>;

export type LedgerRecord =
  | { readonly kind: 'entry'; readonly link: Link; readonly progressed: Progressed }
  | { readonly kind: 'positions'; readonly progressed: Progressed }
  | { readonly kind: 'claim'; readonly claim: string }
  /** A record without a valid Landfall header. */
  | { readonly kind: 'foreign'; readonly reason: string };

/** The name of the only header. It holds all metadata as JSON, so that a record needs one parse. */
const HEADER = 'landfall';

const Sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const Numbers = z.array(z.tuple([z.string(), z.number().int()]));
const Positions = Numbers.describe(
  'The input positions that the commit stores: pairs of stream and last consumed offset.',
);
const Checkpoints = Numbers.describe('The checkpoints that the commit stores: pairs of key and value.');

/** The content of the header `landfall`. */
export const LedgerHeader = z.discriminatedUnion('kind', [
  z
    .object({
      kind: z.literal('entry').describe('An entry of the ledger.'),
      sequence: z.number().int().positive().describe('The number of the entry in its partition.'),
      previous: Sha256.describe('The hash of the previous entry, in hex.'),
      hash: Sha256.describe('The SHA-256 of `previous`, a line feed and the value of the record, in hex.'),
      positions: Positions.optional(),
      checkpoints: Checkpoints.optional(),
    })
    .describe('The header of an entry.'),
  z
    .object({
      kind: z.literal('positions').describe('A commit without an entry.'),
      positions: Positions,
      checkpoints: Checkpoints.optional(),
    })
    .describe('The header of a record without a value that stores positions only.'),
  z
    .object({
      kind: z.literal('claim').describe('The mark of a new owner.'),
      claim: z.string().describe('The unique id of the claim.'),
      instance: z.string().describe('The name of the instance that claims the partition.'),
    })
    .describe('The header of a record without a value that marks the point from which a new owner writes.'),
]);
type Header = z.infer<typeof LedgerHeader>;

export function entryRecords(links: readonly Link[], entries: readonly Entry[], progressed: Progressed): NewRecord[] {
  const last = links.length - 1;
  return links.map(({ sequence, previous, hash, text }, index) => {
    const numbers = index === last ? numbersOf(progressed) : {};
    return newRecord({ kind: 'entry', sequence, previous, hash, ...numbers }, entries[index]?.vm, text);
  });
}

/** Returns a record for input positions and checkpoints that were committed without an entry. */
export function progressRecord(progressed: Progressed): NewRecord {
  return newRecord({ kind: 'positions', positions: [], ...numbersOf(progressed) });
}

/** @param claim a unique id. */
export function claimRecord(claim: string, instance: string): NewRecord {
  return newRecord({ kind: 'claim', claim, instance });
}

function newRecord(header: Header, key: string | null = null, value: string | null = null): NewRecord {
  return { key, value, headers: { [HEADER]: JSON.stringify(header) } };
}

export function recordOf(
  partition: number,
  { value, headers }: Pick<FetchedRecord, 'value' | 'headers'>,
): LedgerRecord {
  const header = headerIn(headers);
  if (header === null) return { kind: 'foreign', reason: 'no valid Landfall header' };
  switch (header.kind) {
    case 'entry': {
      if (value === null) return { kind: 'foreign', reason: 'the entry has no value' };
      const { sequence, previous, hash } = header;
      const link = { partition, sequence, previous, hash, text: value.toString() };
      return { kind: 'entry', link, progressed: progressedIn(header) };
    }
    case 'positions':
      return { kind: 'positions', progressed: progressedIn(header) };
    case 'claim':
      return { kind: 'claim', claim: header.claim };
  }
}

function headerIn(headers: RecordHeaders): Header | null {
  const given = headers[HEADER];
  const text = (Array.isArray(given) ? given[0] : given)?.toString() ?? '';
  try {
    return LedgerHeader.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

type Numbers = z.infer<typeof Numbers>;

function numbersOf({ inputPositions, checkpoints }: Progressed): { positions?: Numbers; checkpoints?: Numbers } {
  return {
    ...(inputPositions.length > 0 && { positions: inputPositions.map(({ stream, offset }) => [stream, offset]) }),
    ...(checkpoints.length > 0 && { checkpoints: checkpoints.map(({ key, value }) => [key, value]) }),
  };
}

/** Records of earlier versions hold checkpoints among the positions, with a NUL character before the key. */
const OLD_CHECKPOINT_PREFIX = '\u0000';

type InHeader = { readonly positions?: Numbers | undefined; readonly checkpoints?: Numbers | undefined };

function progressedIn({ positions = [], checkpoints = [] }: InHeader): Progressed {
  const isOld = ([name]: Numbers[number]) => name.startsWith(OLD_CHECKPOINT_PREFIX);
  const old = positions.filter(isOld).map(([name, value]): Checkpoint => ({ key: name.slice(1), value }));
  return {
    inputPositions: positions
      .filter((each) => !isOld(each))
      .map(([stream, offset]): InputPosition => ({ stream, offset })),
    checkpoints: [...old, ...checkpoints.map(([key, value]): Checkpoint => ({ key, value }))],
  };
}
