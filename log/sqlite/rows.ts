import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import type { Entry } from '../../events/entries.ts';
import { ENTRY_VERSION } from '../../events/entry-version.ts';
import { messageOf } from '../../events/fault.ts';
import { ChainFault, type Link, link } from '../chain.ts';
import { entryOf, migrationOf } from '../entry-text.ts';
import { GENESIS, type Head, type Position, type StoredEntry } from '../port.ts';

export const EMPTY: Head = { sequence: 0, hash: GENESIS };

export type Row = Record<string, SQLOutputValue>;

/** The columns that readers select. SQLite returns the hashes as hex text, which is faster than binary arrays. */
export const COLUMNS = `sequence, lower(hex(previous)) AS previous, lower(hex(hash)) AS hash, vm, vm_key, migration, migration_key,
  time, clock, body`;

/** The columns beside an entry's text that searches use. */
export type Columns = readonly [time: number, clock: string, vm: string | null, migration: string | null];

export function columnsOf(entry: Entry): Columns {
  return [entry.time, entry.clock, entry.vm, migrationOf(entry)];
}

/** Hashes a name to 32 bits (FNV-1a) for the indexes. Queries also compare the name itself. */
export function indexKey(name: string): number {
  let key = 0x811c9dc5;
  for (let index = 0; index < name.length; index += 1) key = Math.imul(key ^ name.charCodeAt(index), 0x01000193);
  return key >>> 0;
}

export function keyOrNull(name: string | null): number | null {
  return name === null ? null : indexKey(name);
}

export function headOf(db: DatabaseSync): Head {
  const row = db.prepare('SELECT sequence, lower(hex(hash)) AS hash FROM entries ORDER BY sequence DESC LIMIT 1').get();
  return row === undefined ? EMPTY : { sequence: Number(row['sequence']), hash: String(row['hash']) };
}

/** Returns the time of the last entry in milliseconds; 0 for an empty ledger. */
export function timeOf(db: DatabaseSync): number {
  return Number(db.prepare('SELECT time FROM entries ORDER BY sequence DESC LIMIT 1').get()?.['time'] ?? 0);
}

/** The fault of an entry in whose place a damaged page returned a row with another sequence. */
export function damagedPage(position: Position, found: unknown): ChainFault {
  return new ChainFault(position, 'altered', `its page of the file is damaged and returned sequence ${String(found)}`);
}

/** Returns the part of a row that the chain covers. A body that is not text becomes '', which matches no hash. */
export function linkOf(row: Row, partition: number): Link {
  return {
    partition,
    sequence: Number(row['sequence']),
    previous: String(row['previous']),
    hash: String(row['hash']),
    text: typeof row['body'] === 'string' ? row['body'] : '',
  };
}

/** @throws ChainFault if the text was altered and can no longer be parsed. */
export function storedOf(row: Row, partition: number): StoredEntry {
  const stored = linkOf(row, partition);
  try {
    return { ...stored, entry: entryOf(stored.text) };
  } catch (error) {
    if (link(stored.previous, stored.text) === stored.hash) throw error;
    throw new ChainFault(stored, 'altered', `its text cannot be read: ${messageOf(error)}`, error);
  }
}

/** A stored entry whose text is parsed on the first access to `entry`. */
export class LazyEntry {
  readonly sequence: number;
  readonly text: string;
  #entry: Entry | undefined;

  constructor({ sequence, body }: Row) {
    this.sequence = Number(sequence);
    this.text = String(body);
  }

  get entry(): Entry {
    this.#entry ??= entryOf(this.text);
    return this.#entry;
  }
}

/** @throws ChainFault if a search column differs from the text. */
export function checkedLinkOf(row: Row, partition: number): Link {
  requireColumnsOf(row, partition);
  return linkOf(row, partition);
}

/** Compares the search columns with the text, because the hash does not cover them. @throws ChainFault if one differs. */
export function requireColumnsOf(row: Row, partition: number): void {
  if (textShowsColumns(row)) return;
  const { entry, ...position } = storedOf(row, partition);
  const [time, clock, vm, migration] = columnsOf(entry);
  const expected: Row = { vm, vm_key: keyOrNull(vm), migration, migration_key: keyOrNull(migration), time, clock };
  const wrong = Object.keys(expected).find((column) => row[column] !== expected[column]);
  if (wrong !== undefined) throw new ChainFault(position, 'altered', `its column ${wrong} differs from its text`);
}

/**
 * Returns true if the text shows the values of the search columns without being parsed. Members have a fixed order and quotes
 * inside strings are escaped, so no string value can be mistaken for a member.
 */
function textShowsColumns({ body, vm, vm_key, migration, migration_key, time, clock }: Row): boolean {
  if (typeof body !== 'string' || typeof time !== 'number' || typeof clock !== 'string') return false;
  if (typeof vm !== 'string' || typeof migration !== 'string') return false;
  if (vm_key !== indexKey(vm) || migration_key !== indexKey(migration)) return false;
  const begin = `{"v":${ENTRY_VERSION},"time":${time},"clock":${JSON.stringify(clock)},"vm":${JSON.stringify(vm)},"cause":`;
  return body.startsWith(begin) && body.includes(`,"attempt":{"migration":${JSON.stringify(migration)},`);
}
