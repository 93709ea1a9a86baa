import type { DatabaseSync } from 'node:sqlite';
import { Fault } from '../../events/fault.ts';
import { formatPosition } from '../../log/port.ts';
import { asOf } from '../../projections/as-of.ts';
import { type MigrationView, toMigration } from '../../projections/attempts.ts';
import { toStatus, type VmStatus } from '../../projections/vms.ts';
import type { Reads } from './service.ts';

/** Reads of the past. Of one VM or attempt they cost its own entries; of all, the whole ledger, so that is limited. */

/** A ledger of more entries is not folded anew for one request. */
const FOLDED_ENTRIES_MAX = 50_000;

/** One VM as it stood then; null where nothing was known of it. */
export async function vmAt({ ledger }: Reads, vm: string, atMs: number): Promise<VmStatus | null> {
  let status: VmStatus | null = null;
  for await (const { partition, sequence, entry } of ledger.readVm(vm)) {
    if (entry.time > atMs || entry.record === null) continue;
    const position = formatPosition({ partition, sequence });
    status = toStatus(entry.record, { position, time: new Date(entry.time).toISOString() });
  }
  return status;
}

export async function migrationAt({ ledger }: Reads, migration: string, atMs: number): Promise<MigrationView | null> {
  let view: MigrationView | null = null;
  for await (const { entry } of ledger.readMigration(migration)) {
    if (entry.time <= atMs && entry.attempt?.attempt.migration === migration) view = toMigration(entry.attempt);
  }
  return view;
}

/** One after the other: each folds a ledger in memory. */
let foldings: Promise<unknown> = Promise.resolve();

/** Reads from the projections as they stood then, or as they stand. @throws Fault TOO_COSTLY. */
export async function readAt<T>(reads: Reads, atMs: number | undefined, read: (db: DatabaseSync) => T): Promise<T> {
  if (atMs === undefined) return read(reads.db);
  const { sequence } = await reads.ledger.head(0);
  if (sequence > FOLDED_ENTRIES_MAX) {
    const remedy = 'Ask for one VM or attempt, or use `landfall status --at` beside the ledger.';
    throw new Fault(
      'TOO_COSTLY',
      `at: the ledger has ${sequence} entries, too many to look at the past of all`,
      remedy,
    );
  }
  const folded = foldings.then(() => foldAndRead(reads, atMs, read));
  foldings = folded.catch(() => {});
  return folded;
}

async function foldAndRead<T>({ ledger }: Reads, atMs: number, read: (db: DatabaseSync) => T): Promise<T> {
  const db = await asOf(ledger, 0, atMs);
  try {
    return read(db);
  } finally {
    db.close();
  }
}
