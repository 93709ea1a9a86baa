import { DatabaseSync } from 'node:sqlite';
import { setImmediate } from 'node:timers/promises';
import { sightOf } from '../log/entry-text.ts';
import type { StoredEntry } from '../log/port.ts';
import { follow } from './follow.ts';
import { clear, makeTables } from './schema.ts';
import { Touches } from './touched.ts';

/** Projections from the ledger alone (invariant 9): every entry is assigned, nothing is decided and nothing is sent. */

/** Entries between two turns of others: a rebuild must not make a service deaf. */
const TURN_ENTRIES = 2000;
/** Entries that are held until they are written: of each attempt only the last one is parsed and written then. */
const HELD_MAX = 4096;
/** A scratch database keeps this much in memory; SQLite spills the rest to a temporary file. */
const SCRATCH_CACHE_KIB = 65_536;

/** An entry that may only be parsed when somebody asks for it. */
export type Folded = Pick<StoredEntry, 'sequence' | 'text' | 'entry'>;
export type Readable = {
  readonly partitions: number;
  read(partition: number, from: number): AsyncIterable<Folded>;
};

export type Progress = (entries: number) => void;

/**
 * Makes the projections of the whole ledger anew, in one transaction: a reader sees the old ones or the new.
 * @returns how many entries were folded in.
 */
export async function rebuild(ledger: Readable, db: DatabaseSync, progress: Progress = () => {}): Promise<number> {
  db.exec('BEGIN IMMEDIATE');
  try {
    makeTables(db);
    clear(db);
    let entries = 0;
    for (let partition = 0; partition < ledger.partitions; partition += 1) {
      const before = entries;
      const follower = follow(db, partition);
      const write = (touches: Touches) => follower.apply(0, touches.touched());
      entries += await fold(ledger.read(partition, 1), write, (count) => progress(before + count));
    }
    db.exec('COMMIT');
    return entries;
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK');
    throw error;
  }
}

/** Gathers what entries touch, and has it written in turns. Returns how many entries there were. */
export async function fold(
  entries: AsyncIterable<Folded>,
  write: (touches: Touches) => void,
  progress: Progress,
): Promise<number> {
  let count = 0;
  let touches = new Touches();
  for await (const stored of entries) {
    const sight = sightOf(stored.text);
    if (sight === null) touches.add(stored.sequence, stored.entry);
    else touches.addAtSight(stored.sequence, sight, stored);
    count += 1;
    if (count % TURN_ENTRIES > 0) continue;
    if (touches.size >= HELD_MAX) {
      write(touches);
      touches = new Touches();
    }
    progress(count);
    await setImmediate();
  }
  write(touches);
  progress(count);
  return count;
}

/** A database for a comparison or a look into the past, gone when it is closed. Its `entries` are those that rows name. */
export function scratch(): DatabaseSync {
  // An empty name is a database that SQLite keeps in memory as far as its cache goes. Nothing of it need survive.
  const db = new DatabaseSync('');
  db.exec(`PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -${SCRATCH_CACHE_KIB}`);
  db.exec('CREATE TABLE entries (sequence INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT');
  makeTables(db);
  return db;
}
