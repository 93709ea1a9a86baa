import type { DatabaseSync } from 'node:sqlite';
import { Fault } from '../../events/fault.ts';

/** A ledger that was moved to Kafka stays readable. Writing to it would decide, and send commands, a second time. */

const MOVED = 'moved';

/** @param to the prefix of the topics that the ledger was moved to. */
export function markMoved(db: DatabaseSync, to: string): void {
  db.prepare('INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value').run(MOVED, to);
}

/** @throws Fault LEDGER_MOVED. */
export function requireUnmoved(db: DatabaseSync, file: string, movingTo: string | undefined): void {
  const to = db.prepare('SELECT value FROM meta WHERE key = ?').get(MOVED)?.['value'];
  if (to === undefined || to === movingTo) return;
  throw new Fault(
    'LEDGER_MOVED',
    `${file} was moved to Kafka (topics ${String(to)}.…) and can no longer be written`,
    'Use --kafka-brokers. The file can still be read. Restoring a backup of the file loses all later decisions.',
  );
}
