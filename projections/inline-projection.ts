import type { DatabaseSync } from 'node:sqlite';
import type { Entry } from '../events/entries.ts';
import { Fault } from '../events/fault.ts';
import type { InlineProjection } from '../log/sqlite/inline-projections.ts';
import { LazyEntry } from '../log/sqlite/rows.ts';
import { FoldBuffer } from './fold.ts';
import { rowWriter } from './rows.ts';
import { clear, foldedThrough, hasOtherPartition, makeTables } from './schema.ts';
import { type Touched, Touches } from './touched.ts';

/**
 * The projection that the ledger's writer applies to every batch, in the transaction that commits the batch: projections and
 * ledger always agree. The writer thread loads this module by its URL.
 */

export { reset } from './schema.ts';

export function extract(entries: readonly Entry[]): Touched {
  const touches = new Touches();
  for (const [index, entry] of entries.entries()) touches.add(index + 1, entry);
  return touches.touched();
}

export function open(db: DatabaseSync, partition: number): InlineProjection<Touched> {
  return { apply: rowWriter(db, partition) };
}

/**
 * Creates the tables and folds in the entries that they lack: all entries if another version or another partition wrote the
 * tables.
 * @throws Fault PROJECTIONS_AHEAD if the projections know more entries than the ledger has.
 */
export function prepare(db: DatabaseSync, partition: number): void {
  makeTables(db);
  if (hasOtherPartition(db, partition)) clear(db);
  const from = foldedThrough(db);
  const last = Number(db.prepare('SELECT max(sequence) AS last FROM entries').get()?.['last'] ?? 0);
  if (from > last) throw ahead(from, last);
  const projection = open(db, partition);
  const buffer = new FoldBuffer();
  const rows = db.prepare('SELECT sequence, body FROM entries WHERE sequence > ? ORDER BY sequence');
  for (const row of rows.iterate(from)) {
    buffer.add(new LazyEntry(row));
    if (buffer.isFull) projection.apply(0, buffer.take().touched());
  }
  projection.apply(0, buffer.take().touched());
}

function ahead(from: number, last: number): Fault {
  return new Fault(
    'PROJECTIONS_AHEAD',
    `the projections know entry ${from}, but the ledger ends at ${last}: its tail was cut off`,
    'Compare with `landfall audit --head`; if the ledger is right, run `landfall rebuild`.',
  );
}
