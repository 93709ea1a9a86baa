import type { DatabaseSync } from 'node:sqlite';
import { Fault } from '../../events/fault.ts';
import { formatPosition } from '../../log/port.ts';
import { asOf } from '../../projections/as-of.ts';
import { type MigrationView, toMigration } from '../../projections/attempts.ts';
import { toStatus, type VmStatus } from '../../projections/vms.ts';
import type { Part, Reads } from './parts.ts';

/** Reads of the past. Of one VM or attempt they cost its own entries; of all, the whole ledger, so that is limited. */

/** A ledger of more entries is not folded anew for one request. */
const FOLDED_ENTRIES_MAX = 50_000;

/** One VM as it stood then; null where nothing was known of it. */
export async function vmAt({ partition, ledger }: Part, vm: string, atMs: number): Promise<VmStatus | null> {
  let status: VmStatus | null = null;
  for await (const { sequence, entry } of ledger.readVm(vm)) {
    if (entry.time > atMs || entry.record === null) continue;
    const position = formatPosition({ partition, sequence });
    status = toStatus(entry.record, { position, time: new Date(entry.time).toISOString() });
  }
  return status;
}

export async function migrationAt({ ledger }: Part, migration: string, atMs: number): Promise<MigrationView | null> {
  let view: MigrationView | null = null;
  for await (const { entry } of ledger.readMigration(migration)) {
    if (entry.time <= atMs && entry.attempt?.attempt.migration === migration) view = toMigration(entry.attempt);
  }
  return view;
}

type Looking<T> = (as: { readonly db: DatabaseSync; readonly part: Part }) => T;

/** One after the other: each folds a ledger in memory. */
let foldings: Promise<unknown> = Promise.resolve();

/**
 * Reads from the projections of every part as they stood then, or as they stand.
 * @returns what was read of each. @throws Fault TOO_COSTLY.
 */
export async function readAt<T>(parts: Reads, atMs: number | undefined, read: Looking<T>): Promise<T[]> {
  if (atMs === undefined) return parts.map((part) => read({ db: part.db, part }));
  const heads = await Promise.all(parts.map(({ partition, ledger }) => ledger.head(partition)));
  const entries = heads.reduce((sum, { sequence }) => sum + sequence, 0);
  if (entries > FOLDED_ENTRIES_MAX) {
    const remedy = 'Ask for one VM or attempt, or use `landfall status --at` beside the ledger.';
    const message = `at: the ledger has ${entries} entries, too many to look at the past of all`;
    throw new Fault('TOO_COSTLY', message, remedy);
  }
  const folded = foldings.then(async () => {
    const found: T[] = [];
    for (const part of parts) found.push(await foldAndRead(part, atMs, read));
    return found;
  });
  foldings = folded.catch(() => {});
  return folded;
}

async function foldAndRead<T>(part: Part, atMs: number, read: Looking<T>): Promise<T> {
  const db = await asOf(part.ledger, part.partition, atMs);
  try {
    return read({ db, part });
  } finally {
    db.close();
  }
}
