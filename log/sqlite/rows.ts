import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import { ENTRY_VERSION } from '../../events/entry-version.ts';
import { messageOf } from '../../events/fault.ts';
import { ChainFault, type Link, link } from '../chain.ts';
import { entryOf, migrationOf } from '../entry-text.ts';
import { GENESIS, type Head, type StoredEntry } from '../port.ts';

/** The only partition of an embedded ledger. */
export const PARTITION = 0;

export const EMPTY: Head = { sequence: 0, hash: GENESIS };

export type Row = Record<string, SQLOutputValue>;

/** Spreads names over 32 bits (FNV-1a). An index holds these numbers; the name itself decides. */
export function indexKey(name: string): number {
  let key = 0x811c9dc5;
  for (let index = 0; index < name.length; index += 1) key = Math.imul(key ^ name.charCodeAt(index), 0x01000193);
  return key >>> 0;
}

export function headOf(db: DatabaseSync): Head {
  const row = db.prepare('SELECT sequence, hash FROM entries ORDER BY sequence DESC LIMIT 1').get();
  return row === undefined ? EMPTY : { sequence: Number(row['sequence']), hash: hexOf(row['hash']) };
}

/** The time of the last entry. */
export function timeOf(db: DatabaseSync): number {
  return Number(db.prepare('SELECT time FROM entries ORDER BY sequence DESC LIMIT 1').get()?.['time'] ?? 0);
}

/** The part of a row that the chain covers. A column that holds another type than it should gives what matches nothing. */
export function linkOf(row: Row): Link {
  return {
    partition: PARTITION,
    sequence: Number(row['sequence']),
    previous: hexOf(row['previous']),
    hash: hexOf(row['hash']),
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

/** The columns beside the text are not hashed, yet searches go by them: the audit holds them to the text. */
export function requireColumnsOf(row: Row, stored?: StoredEntry): void {
  if (isSaidAtSight(row)) return;
  const { entry, ...position } = stored ?? storedOf(row);
  const migration = migrationOf(entry);
  const expected: Row = {
    vm: entry.vm,
    vm_key: entry.vm === null ? null : indexKey(entry.vm),
    migration,
    migration_key: migration === null ? null : indexKey(migration),
    time: entry.time,
    clock: entry.clock,
  };
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

function hexOf(value: SQLOutputValue | undefined): string {
  if (!(value instanceof Uint8Array)) return '';
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('hex');
}
