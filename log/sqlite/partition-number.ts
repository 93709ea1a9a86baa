import type { DatabaseSync } from 'node:sqlite';
import { Fault } from '../../events/fault.ts';

/** The partition of the ledger that a file holds: 0 for an embedded ledger, the topic's partition for a replica. */

const KEY = 'partition';

/** Returns 0 for a file that was written before files recorded their partition. */
export function partitionIn(db: DatabaseSync): number {
  return recordedIn(db) ?? 0;
}

/**
 * Records the partition in the file.
 * @throws Fault LEDGER_ALTERED if the file already belongs to another partition.
 */
export function assignPartition(db: DatabaseSync, file: string, partition: number): void {
  const recorded = recordedIn(db);
  if (recorded === partition) return;
  if (recorded !== null) {
    throw new Fault(
      'LEDGER_ALTERED',
      `${file} holds partition ${recorded}, but was opened as partition ${partition}`,
      'Restore the original file name, or run `landfall rebuild` to fetch the replica again.',
    );
  }
  db.prepare('INSERT INTO meta VALUES (?, ?)').run(KEY, partition);
}

function recordedIn(db: DatabaseSync): number | null {
  const row = db.prepare('SELECT value FROM meta WHERE key = ?').get(KEY);
  return row === undefined ? null : Number(row['value']);
}
