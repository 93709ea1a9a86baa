import type { DatabaseSync } from 'node:sqlite';
import { ChainFault, extend } from '../chain.ts';
import type { Head } from '../port.ts';
import { partitionIn } from './partition-number.ts';
import { COLUMNS, damagedPage, EMPTY, headOf, linkOf, requireColumnsOf } from './rows.ts';

/** The number of entries between two snapshots. It limits the entries that a start after a crash must verify. */
export const SNAPSHOT_ENTRIES = 10_000;

/** Records that this version of the machine wrote or verified all entries up to this head. */
export function takeSnapshot(db: DatabaseSync, head: Head, machineVersion: string, time: number): void {
  db.prepare('INSERT OR REPLACE INTO snapshots (sequence, hash, machine_version, time) VALUES (?, ?, ?, ?)').run(
    head.sequence,
    Buffer.from(head.hash, 'hex'),
    machineVersion,
    time,
  );
}

/** Returns the sequence of the newest snapshot of any version; 0 if there is none. */
export function lastSnapshot(db: DatabaseSync): number {
  return Number(db.prepare('SELECT max(sequence) AS sequence FROM snapshots').get()?.['sequence'] ?? 0);
}

/**
 * Returns the newest snapshot of this machine version whose hash matches its entry; the empty head if there is none.
 * @throws ChainFault if a snapshot names an entry beyond the last one, because the tail was cut off.
 */
export function trustedHead(db: DatabaseSync, machineVersion: string): Head {
  const last = headOf(db);
  const newest = lastSnapshot(db);
  if (newest > last.sequence) {
    const position = { partition: partitionIn(db), sequence: last.sequence + 1 };
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
 * Verifies the entries after `start` up to the sequence `through`, without yielding to the event loop.
 * @returns the head at `through`.
 * @throws ChainFault naming the first bad entry.
 */
export function verifyRows(db: DatabaseSync, start: Head, through = headOf(db).sequence): Head {
  const partition = partitionIn(db);
  let head = start;
  const rows = db.prepare(`SELECT ${COLUMNS} FROM entries WHERE sequence > ? AND sequence <= ? ORDER BY sequence`);
  for (const row of rows.iterate(start.sequence, through)) {
    const next = linkOf(row, partition);
    if (next.sequence < 1) throw damagedPage({ partition, sequence: head.sequence + 1 }, next.sequence);
    head = extend(head, next);
    requireColumnsOf(row, partition);
  }
  if (head.sequence >= through) return head;
  const position = { partition, sequence: head.sequence + 1 };
  throw new ChainFault(position, 'missing', `entries up to ${through} are missing`);
}
