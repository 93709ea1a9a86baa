import type { DatabaseSync } from 'node:sqlite';
import { Fault } from '../../events/fault.ts';
import { openWriter } from './connection.ts';

/** A ledger that was moved elsewhere stays readable; whoever went on with it would decide, and command, a second time. */

const MOVED = 'moved';

/** For whoever holds the file as its writer: nothing that the writer keeps in memory is touched. */
export function markMoved(file: string, to: string): void {
  const db = openWriter(file);
  try {
    db.prepare('INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value').run(MOVED, to);
  } finally {
    db.close();
  }
}

/** @throws Fault LEDGER_MOVED. */
export function requireUnmoved(db: DatabaseSync, file: string, movingTo: string | undefined): void {
  const to = db.prepare('SELECT value FROM meta WHERE key = ?').get(MOVED)?.['value'];
  if (to === undefined || to === movingTo) return;
  throw new Fault(
    'LEDGER_MOVED',
    `${file} was moved to Kafka (topics ${String(to)}.…): what is decided there must not be decided here again`,
    'Use --kafka-brokers. The file can still be read; to go back to it, and lose what was decided since, restore a backup of it.',
  );
}
