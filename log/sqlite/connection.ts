import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type DatabaseSyncOptions } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { Fault } from '../../events/fault.ts';
import { notALedger, notWritable, sqliteFault } from './faults.ts';
import type { Durability } from './messages.ts';
import { type Migration, migrate, requireCurrent } from './schema.ts';

/** The time for which a reader waits while a writer recovers the file. */
const READER_TIMEOUT_MS = 5000;
const WRITER_CACHE_KIB = 16_384;
/**
 * The page size of the file. An entry is about 3 kB: a page of 4 KiB, SQLite's default, holds one entry, and commits would
 * write 25 % more pages.
 */
const PAGE_BYTES = 16_384;
/**
 * The size of SQLite's log at which it is copied into the file. A larger value copies fewer pages twice; a smaller
 * value shortens the recovery after a crash.
 */
const CHECKPOINT_BYTES = 16 * 1024 * 1024;
/** SQLite's log grows during a long read; afterwards it shrinks to this size. */
const WAL_BYTES_KEPT = 64 * 1024 * 1024;

/** Refuses a path that cannot be written, with a clearer message than SQLite's. @throws Fault LEDGER_… */
export function requireWritable(file: string): void {
  requireRegularFile(file);
  if (!existsSync(dirname(file))) {
    throw new Fault('LEDGER_MISSING', `the folder of ${file} does not exist`, 'Create it, or name another file.');
  }
  try {
    // SQLite creates its log beside the ledger file.
    accessSync(dirname(file), constants.W_OK);
    if (existsSync(file)) accessSync(file, constants.W_OK);
  } catch (error) {
    throw notWritable(file, error);
  }
}

/** Opens the only connection that writes the file. With `full` durability a COMMIT is on disk when it returns. */
export function openWriter(file: string, durability: Durability = 'full', steps?: readonly Migration[]): DatabaseSync {
  requireWritable(file);
  const db = connect(file, { timeout: READER_TIMEOUT_MS });
  return prepared(file, db, () => {
    // A file that already has pages keeps its page size.
    db.exec(`PRAGMA page_size = ${PAGE_BYTES}`);
    // The migration comes first, because it refuses another application's file before anything changes.
    migrate(db, file, steps);
    const pageBytes = Number(db.prepare('PRAGMA page_size').get()?.['page_size']);
    db.exec(`
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = ${durability === 'full' ? 'FULL' : 'NORMAL'};
      PRAGMA cache_size = -${WRITER_CACHE_KIB};
      PRAGMA wal_autocheckpoint = ${Math.ceil(CHECKPOINT_BYTES / pageBytes)};
      PRAGMA journal_size_limit = ${WAL_BYTES_KEPT};
    `);
  });
}

export function openReader(file: string): DatabaseSync {
  requireRegularFile(file);
  if (!existsSync(file)) throw new Fault('LEDGER_MISSING', `${file} does not exist`, 'Check the path.');
  const db = connect(locationOf(file), { readOnly: true, timeout: READER_TIMEOUT_MS });
  return prepared(file, db, () => requireCurrent(db, file));
}

function connect(location: string | URL, options: DatabaseSyncOptions): DatabaseSync {
  try {
    return new DatabaseSync(location, options);
  } catch (error) {
    throw sqliteFault(error, String(location));
  }
}

function prepared(file: string, db: DatabaseSync, prepare: () => void): DatabaseSync {
  try {
    prepare();
    return db;
  } catch (error) {
    db.close();
    throw sqliteFault(error, file);
  }
}

/** In a folder that is not writable, SQLite can only open a closed ledger as immutable. */
function locationOf(file: string): string | URL {
  if (existsSync(`${file}-wal`) || isWritable(dirname(file))) return file;
  const url = pathToFileURL(file);
  url.searchParams.set('immutable', '1');
  return url;
}

function requireRegularFile(file: string): void {
  const stat = statSync(file, { throwIfNoEntry: false });
  if (stat === undefined || stat.isFile()) return;
  throw notALedger(file, stat.isDirectory() ? 'it is a folder' : 'it is a device, a pipe or a socket');
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
