import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import type { Entry } from '../../events/entries.ts';
import { ENTRY_VERSION } from '../../events/entry-version.ts';
import { messageOf } from '../../events/fault.ts';
import { ChainFault, type Link, link } from '../chain.ts';
import { entryOf, migrationOf } from '../entry-text.ts';
import { GENESIS, type Head, type StoredEntry } from '../port.ts';

/** The only partition of an embedded ledger. */
export const PARTITION = 0;

export const EMPTY: Head = { sequence: 0, hash: GENESIS };

export type Row = Record<string, SQLOutputValue>;

/** What is selected of a row that is looked at. As text the hashes come faster than as arrays of their own. */
export const COLUMNS = `sequence, lower(hex(previous)) AS previous, lower(hex(hash)) AS hash, vm, vm_key, migration, migration_key,
  time, clock, body`;

/** What stands beside an entry's text, to search by. */
export type Columns = readonly [time: number, clock: string, vm: string | null, migration: string | null];

export function columnsOf(entry: Entry): Columns {
  return [entry.time, entry.clock, entry.vm, migrationOf(entry)];
}

/** Spreads names over 32 bits (FNV-1a). An index holds these numbers; the name itself decides. */
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

/** The time of the last entry. */
export function timeOf(db: DatabaseSync): number {
  return Number(db.prepare('SELECT time FROM entries ORDER BY sequence DESC LIMIT 1').get()?.['time'] ?? 0);
}

/** The part of a row that the chain covers. A text that is none gives what matches nothing. */
export function linkOf(row: Row): Link {
  return {
    partition: PARTITION,
    sequence: Number(row['sequence']),
    previous: String(row['previous']),
    hash: String(row['hash']),
    text: typeof row['body'] === 'string' ? row['body'] : '',
  };
}

/** @throws ChainFault where the text is not the one that was hashed, and cannot be read for it. */
export function storedOf(row: Row): StoredEntry {
  const stored = linkOf(row);
  try {
    return { ...stored, entry: entryOf(stored.text) };
  } catch (error) {
    if (link(stored.previous, stored.text) === stored.hash) throw error;
    throw new ChainFault(stored, 'altered', `its text cannot be read: ${messageOf(error)}`, error);
  }
}

/** A text that is parsed when somebody asks for its entry: of those that are only looked over few are asked. */
export class Unread {
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

/** @throws ChainFault where the row's columns are not those of its text. */
export function checkedLinkOf(row: Row): Link {
  requireColumnsOf(row);
  return linkOf(row);
}

/** The columns beside the text are not hashed, yet searches go by them: the audit holds them to the text. */
export function requireColumnsOf(row: Row): void {
  if (isSaidAtSight(row)) return;
  const { entry, ...position } = storedOf(row);
  const [time, clock, vm, migration] = columnsOf(entry);
  const expected: Row = { vm, vm_key: keyOrNull(vm), migration, migration_key: keyOrNull(migration), time, clock };
  const wrong = Object.keys(expected).find((column) => row[column] !== expected[column]);
  if (wrong !== undefined) throw new ChainFault(position, 'altered', `its column ${wrong} differs from its text`);
}

/**
 * Whether the text says in plain sight what the columns say: parsing it would tell no more. A text of the ledger's own making
 * has these members in this order, and a quote inside of a string is escaped, so nothing else looks like them.
 */
function isSaidAtSight({ body, vm, vm_key, migration, migration_key, time, clock }: Row): boolean {
  if (typeof body !== 'string' || typeof time !== 'number' || typeof clock !== 'string') return false;
  if (typeof vm !== 'string' || typeof migration !== 'string') return false;
  if (vm_key !== indexKey(vm) || migration_key !== indexKey(migration)) return false;
  const begin = `{"v":${ENTRY_VERSION},"time":${time},"clock":${JSON.stringify(clock)},"vm":${JSON.stringify(vm)},"cause":`;
  return body.startsWith(begin) && body.includes(`,"attempt":{"migration":${JSON.stringify(migration)},`);
}
