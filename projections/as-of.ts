import type { DatabaseSync } from 'node:sqlite';
import { textOf } from '../log/entry-text.ts';
import type { Ledger, StoredEntry } from '../log/port.ts';
import { follow } from './follow.ts';
import { fold, scratch } from './rebuild.ts';
import type { Touches } from './touched.ts';

/**
 * The projections as they stood at a moment: of all entries up to it, whatever their clock, each by its own time. The caller
 * closes the database.
 */
export async function asOf(ledger: Ledger, partition: number, timeMs: number): Promise<DatabaseSync> {
  const db = scratch();
  try {
    db.exec('BEGIN');
    const follower = follow(db, partition);
    const keep = keeper(db);
    const write = (touches: Touches) => {
      follower.apply(0, touches.touched());
      keep(touches);
    };
    await fold(upTo(ledger.read(partition, 1), timeMs), write, () => {});
    db.exec('COMMIT');
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** Keeps the entries that attempts are read from. */
function keeper(db: DatabaseSync): (touches: Touches) => void {
  const insert = db.prepare('INSERT INTO entries (sequence, body) VALUES (?, ?)');
  return (touches) => {
    for (const { at, source } of touches.attemptSources()) insert.run(at, textOf(source.entry));
  };
}

/** To the end: the times of several clocks rise each for itself. */
async function* upTo(entries: AsyncIterable<StoredEntry>, timeMs: number): AsyncGenerator<StoredEntry> {
  for await (const stored of entries) if (stored.entry.time <= timeMs) yield stored;
}
