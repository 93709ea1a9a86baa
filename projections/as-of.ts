import type { DatabaseSync } from 'node:sqlite';
import { textOf } from '../log/entry-text.ts';
import type { Ledger } from '../log/port.ts';
import { fold } from './fold.ts';
import { rowWriter } from './rows.ts';
import { scratch } from './scratch.ts';

/**
 * Folds the projections as of a moment, from all entries whose own time is not later, on every clock. The caller closes the
 * returned database.
 */
export async function asOf(ledger: Pick<Ledger, 'read'>, partition: number, timeMs: number): Promise<DatabaseSync> {
  const db = scratch();
  try {
    db.exec('BEGIN');
    const writeRows = rowWriter(db, partition);
    const insertEntry = db.prepare('INSERT INTO entries (sequence, body) VALUES (?, ?)');
    await fold(ledger.read(partition, 1), {
      // Entries of several clocks are not in the order of their times, so the fold must read the whole ledger.
      accepts: ({ entry }) => entry.time <= timeMs,
      write: (touches) => {
        writeRows(0, touches.touched());
        for (const { at, source } of touches.attemptSources()) insertEntry.run(at, textOf(source.entry));
      },
    });
    db.exec('COMMIT');
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}
