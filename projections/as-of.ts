import type { DatabaseSync } from 'node:sqlite';
import type { Ledger, StoredEntry } from '../log/port.ts';
import { follow } from './follow.ts';
import { fold, scratch } from './rebuild.ts';

/**
 * The projections as they stood at a moment: of all entries up to it, whatever their clock, each by its own time. The caller
 * closes the database.
 */
export async function asOf(ledger: Ledger, partition: number, timeMs: number): Promise<DatabaseSync> {
  const db = scratch();
  try {
    db.exec('BEGIN');
    await fold(upTo(ledger.read(partition, 1), timeMs), follow(db, partition), () => {});
    db.exec('COMMIT');
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** To the end: the times of several clocks rise each for itself. */
async function* upTo(entries: AsyncIterable<StoredEntry>, timeMs: number): AsyncGenerator<StoredEntry> {
  for await (const stored of entries) if (stored.entry.time <= timeMs) yield stored;
}
