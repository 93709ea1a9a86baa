import { DatabaseSync } from 'node:sqlite';
import { setImmediate } from 'node:timers/promises';
import type { Ledger, StoredEntry } from '../log/port.ts';
import { type Follower, follow } from './follow.ts';
import { clear, makeTables } from './schema.ts';

/** Projections from the ledger alone (invariant 9): every entry is assigned, nothing is decided and nothing is sent. */

/** Entries between two flushes. Others get a turn in between: a rebuild must not make a service deaf. */
const FLUSH_ENTRIES = 2000;
/** A scratch database keeps this much in memory; SQLite spills the rest to a temporary file. */
const SCRATCH_CACHE_KIB = 65_536;

export type Progress = (entries: number) => void;

/**
 * Makes the projections of the whole ledger anew, in one transaction: a reader sees the old ones or the new.
 * @returns how many entries were folded in.
 */
export async function rebuild(
  ledger: Pick<Ledger, 'partitions' | 'read'>,
  db: DatabaseSync,
  progress: Progress = () => {},
): Promise<number> {
  db.exec('BEGIN IMMEDIATE');
  try {
    makeTables(db);
    clear(db);
    let entries = 0;
    for (let partition = 0; partition < ledger.partitions; partition += 1) {
      const before = entries;
      const folded = await fold(ledger.read(partition, 1), follow(db, partition), (count) => progress(before + count));
      entries += folded;
    }
    db.exec('COMMIT');
    return entries;
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK');
    throw error;
  }
}

/** Feeds entries to a follower, in turns. Returns how many there were. */
export async function fold(
  entries: AsyncIterable<StoredEntry>,
  follower: Follower,
  progress: Progress,
): Promise<number> {
  let count = 0;
  for await (const { sequence, entry } of entries) {
    follower.apply(sequence, entry);
    count += 1;
    if (count % FLUSH_ENTRIES === 0) await takeTurn(follower, () => progress(count));
  }
  follower.flush();
  progress(count);
  return count;
}

/** Writes what is held back, and lets others have a turn. */
export async function takeTurn(follower: Follower, progress: () => void): Promise<void> {
  follower.flush();
  progress();
  await setImmediate();
}

/** A database for a comparison or a look into the past, gone when it is closed. */
export function scratch(): DatabaseSync {
  // An empty name is a database that SQLite keeps in memory as far as its cache goes. Nothing of it need survive.
  const db = new DatabaseSync('');
  db.exec(`PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -${SCRATCH_CACHE_KIB}`);
  makeTables(db);
  return db;
}
