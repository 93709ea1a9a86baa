import type { DatabaseSync } from 'node:sqlite';
import { Fault } from '../../events/fault.ts';
import { formatPosition } from '../../log/port.ts';
import { asOf } from '../../projections/as-of.ts';
import { type MigrationView, toMigration } from '../../projections/attempts.ts';
import { toStatus, type VmStatus } from '../../projections/vms.ts';
import type { ReadPart } from './parts.ts';

/** Reads at a past time. A read of one VM or attempt folds only its entries; a read of all folds the whole ledger, so its size is limited. */

/** The largest ledger that one request may fold, in entries. */
const FOLDED_ENTRIES_MAX = 50_000;

/** One VM at a past time; null if the ledger had no record of it then. */
export async function vmAt({ partition, ledger }: ReadPart, vm: string, atMs: number): Promise<VmStatus | null> {
  let status: VmStatus | null = null;
  for await (const { sequence, entry } of ledger.readVm(vm)) {
    if (entry.time > atMs || entry.record === null) continue;
    const position = formatPosition({ partition, sequence });
    status = toStatus(entry.record, { position, time: new Date(entry.time).toISOString() });
  }
  return status;
}

export async function migrationAt(
  { ledger }: ReadPart,
  migration: string,
  atMs: number,
): Promise<MigrationView | null> {
  let view: MigrationView | null = null;
  for await (const { entry } of ledger.readMigration(migration)) {
    if (entry.time <= atMs && entry.attempt?.attempt.migration === migration) view = toMigration(entry.attempt);
  }
  return view;
}

type Looking<T> = (as: { readonly db: DatabaseSync; readonly part: ReadPart }) => T;

/** Past reads of one thread run one after the other, because each folds a ledger in memory. */
let foldings: Promise<unknown> = Promise.resolve();

/**
 * Reads the projections of every partition at a past time, or now when `atMs` is undefined.
 * @returns one result per partition. @throws Fault TOO_COSTLY when the ledger has too many entries to fold.
 */
export async function readAt<T>(parts: readonly ReadPart[], atMs: number | undefined, read: Looking<T>): Promise<T[]> {
  if (atMs === undefined) return parts.map((part) => read({ db: part.db, part }));
  const heads = await Promise.all(parts.map(({ partition, ledger }) => ledger.head(partition)));
  const entries = heads.reduce((sum, { sequence }) => sum + sequence, 0);
  if (entries > FOLDED_ENTRIES_MAX) {
    const remedy = 'Ask for one VM or attempt, or run `landfall status --at` on the machine of the ledger.';
    const message = `at: the ledger has ${entries} entries, too many for a read of all VMs at a past time`;
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

async function foldAndRead<T>(part: ReadPart, atMs: number, read: Looking<T>): Promise<T> {
  const db = await asOf(part.ledger, part.partition, atMs);
  try {
    return read({ db, part });
  } finally {
    db.close();
  }
}
