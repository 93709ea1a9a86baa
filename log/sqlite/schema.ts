import type { DatabaseSync } from 'node:sqlite';
import { Fault } from '../../events/fault.ts';
import { notALedger } from './faults.ts';

/** The PRAGMA application_id of ledger files ("Land" in ASCII), which distinguishes them from other SQLite files. */
const APPLICATION_ID = 0x4c616e64;

/** Migrates a file from the schema version that is its index to the next. Released migrations must not change. */
export type Migration = (db: DatabaseSync) => void;

export const migrations: readonly Migration[] = [createVersion1, narrowBuckets, splitCheckpoints];

/**
 * Indexes begin with a bucket number of the sequence (4096 entries). Inserts then write a few pages near the end instead of
 * random pages, which doubles the rate. A search queries each bucket.
 */
export const BUCKET_BITS = 12;

function createVersion1(db: DatabaseSync): void {
  db.exec(`
    CREATE TABLE entries (
      sequence INTEGER PRIMARY KEY,
      previous BLOB NOT NULL,
      hash BLOB NOT NULL,
      vm TEXT,
      vm_key INTEGER,
      migration TEXT,
      migration_key INTEGER,
      time INTEGER NOT NULL,
      clock TEXT NOT NULL,
      body TEXT NOT NULL
    ) STRICT;
    CREATE INDEX entries_by_vm ON entries (sequence >> 14, vm_key) WHERE vm_key IS NOT NULL;
    CREATE INDEX entries_by_migration ON entries (sequence >> 14, migration_key)
      WHERE migration_key IS NOT NULL;
    CREATE TABLE positions (stream TEXT PRIMARY KEY, offset INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    -- One row per batch: the keys of the inputs it consumed. sequence and time are those of its last entry.
    CREATE TABLE identities (sequence INTEGER PRIMARY KEY, time INTEGER NOT NULL, keys BLOB NOT NULL) STRICT;
    CREATE TABLE snapshots (
      sequence INTEGER PRIMARY KEY,
      hash BLOB NOT NULL,
      machine_version TEXT NOT NULL,
      time INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
  `);
}

/** With buckets of 16,384 entries, a commit of 100 entries wrote nearly 100 pages of each index. */
function narrowBuckets(db: DatabaseSync): void {
  db.exec(`
    DROP INDEX entries_by_vm;
    DROP INDEX entries_by_migration;
    CREATE INDEX entries_by_vm ON entries (sequence >> ${BUCKET_BITS}, vm_key) WHERE vm_key IS NOT NULL;
    CREATE INDEX entries_by_migration ON entries (sequence >> ${BUCKET_BITS}, migration_key)
      WHERE migration_key IS NOT NULL;
  `);
}

/** Up to schema version 2, checkpoints were rows of `positions` whose stream began with a NUL character. */
const CHECKPOINT_PREFIX = '\u0000';

/** Moves the checkpoints out of the input positions into a table of their own. */
function splitCheckpoints(db: DatabaseSync): void {
  db.exec(`
    CREATE TABLE checkpoints (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    ALTER TABLE positions RENAME TO input_positions;
  `);
  const insert = db.prepare('INSERT INTO checkpoints (key, value) VALUES (?, ?)');
  const remove = db.prepare('DELETE FROM input_positions WHERE stream = ?');
  for (const { stream, offset } of db.prepare('SELECT stream, offset FROM input_positions').all()) {
    const name = String(stream);
    if (!name.startsWith(CHECKPOINT_PREFIX)) continue;
    insert.run(name.slice(CHECKPOINT_PREFIX.length), Number(offset));
    remove.run(name);
  }
}

/**
 * Returns the schema version of the file; 0 if the file is empty.
 * @throws Fault LEDGER_NOT_A_LEDGER, LEDGER_NEWER.
 */
function identify(db: DatabaseSync, file: string, newest: number): number {
  const applicationId = pragma(db, 'application_id');
  const version = pragma(db, 'user_version');
  if (applicationId === 0 && version === 0 && isEmpty(db)) return 0;
  if (applicationId !== APPLICATION_ID) throw notALedger(file, 'it is the SQLite file of another application');
  if (version <= newest) return version;
  throw new Fault(
    'LEDGER_NEWER',
    `${file} was written by a newer Landfall (schema version ${version}, this one knows ${newest})`,
    'Use that version of Landfall or a newer one.',
  );
}

/** Migrates the file to the newest schema version in one transaction. */
export function migrate(db: DatabaseSync, file: string, steps: readonly Migration[] = migrations): void {
  if (identify(db, file, steps.length) === steps.length) return;
  db.exec('BEGIN IMMEDIATE');
  try {
    const version = identify(db, file, steps.length);
    for (const step of steps.slice(version)) step(db);
    db.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${steps.length}; COMMIT`);
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK');
    throw error;
  }
}

/** @throws Fault LEDGER_OLDER if the file must be migrated, which only a writer can do. */
export function requireCurrent(db: DatabaseSync, file: string): void {
  const version = identify(db, file, migrations.length);
  if (version === migrations.length) return;
  if (version === 0) throw notALedger(file, 'it is empty');
  throw new Fault(
    'LEDGER_OLDER',
    `${file} was written by an older Landfall (schema version ${version}, this one reads ${migrations.length})`,
    'Open it once for writing, for example with `landfall serve`: that brings it up to date.',
  );
}

function pragma(db: DatabaseSync, name: string): number {
  return Number(db.prepare(`PRAGMA ${name}`).get()?.[name]);
}

function isEmpty(db: DatabaseSync): boolean {
  return db.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get() === undefined;
}
