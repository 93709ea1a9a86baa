import { DatabaseSync } from 'node:sqlite';
import { makeTables } from './schema.ts';

/** Page cache of a scratch database in KiB; SQLite spills the rest to a temporary file. */
const SCRATCH_CACHE_KIB = 65_536;

/** Opens a temporary database with empty projections, for an audit or a read of the past. Closing deletes it. */
export function scratch(): DatabaseSync {
  const db = new DatabaseSync('');
  db.exec(`PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -${SCRATCH_CACHE_KIB}`);
  // Attempts are read from the entries that their rows name.
  db.exec('CREATE TABLE entries (sequence INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT');
  makeTables(db);
  return db;
}
