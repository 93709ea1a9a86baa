import type { DatabaseSync } from 'node:sqlite';
import { ChainFault, extend } from '../chain.ts';
import type { Head } from '../port.ts';
import { COLUMNS, EMPTY, headOf, linkOf, PARTITION, requireColumnsOf } from './rows.ts';

/** Entries between two snapshots: what a start after a crash verifies at most. */
export const SNAPSHOT_ENTRIES = 10_000;

/** Notes that everything up to this head was written, or verified, by this version of the machine. */
export function takeSnapshot(db: DatabaseSync, head: Head, machineVersion: string, time: number): void {
  db.prepare('INSERT OR REPLACE INTO snapshots (sequence, hash, machine_version, time) VALUES (?, ?, ?, ?)').run(
    head.sequence,
    Buffer.from(head.hash, 'hex'),
    machineVersion,
    time,
  );
}

/** The sequence of the newest snapshot, by whatever version; 0: none. */
export function lastSnapshot(db: DatabaseSync): number {
  return Number(db.prepare('SELECT max(sequence) AS sequence FROM snapshots').get()?.['sequence'] ?? 0);
}

/**
 * The newest snapshot to start from: one of this machine version whose hash is still its entry's. The beginning where there
 * is none.
 * @throws ChainFault where a snapshot stands beyond the last entry: the tail was cut off.
 */
export function trustedHead(db: DatabaseSync, machineVersion: string): Head {
  const last = headOf(db);
  const newest = lastSnapshot(db);
  if (newest > last.sequence) {
    const position = { partition: PARTITION, sequence: last.sequence + 1 };
    throw new ChainFault(position, 'missing', `a snapshot names entry ${newest}`);
  }
  const row = db
    .prepare(
      `SELECT sequence, hex(hash) AS hash FROM snapshots JOIN entries USING (sequence, hash)
        WHERE machine_version = ? ORDER BY sequence DESC LIMIT 1`,
    )
    .get(machineVersion);
  return row === undefined ? EMPTY : { sequence: Number(row['sequence']), hash: String(row['hash']).toLowerCase() };
}

/**
 * Verifies what follows a head, in one go: all of it, or up to an entry that is there.
 * @returns the head of the ledger, or that entry's.
 * @throws ChainFault naming the first bad entry.
 */
export function verifyRows(db: DatabaseSync, start: Head, through = headOf(db).sequence): Head {
  let head = start;
  const rows = db.prepare(`SELECT ${COLUMNS} FROM entries WHERE sequence > ? AND sequence <= ? ORDER BY sequence`);
  for (const row of rows.iterate(start.sequence, through)) {
    head = extend(head, linkOf(row));
    requireColumnsOf(row);
  }
  if (head.sequence >= through) return head;
  const position = { partition: PARTITION, sequence: head.sequence + 1 };
  throw new ChainFault(position, 'missing', `entry ${through} and others before it are not there`);
}
