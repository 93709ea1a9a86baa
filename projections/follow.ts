import type { DatabaseSync } from 'node:sqlite';
import type { Entry } from '../events/entries.ts';
import { Fault } from '../events/fault.ts';
import { entryOf } from '../log/entry-text.ts';
import { rowWriter } from './rows.ts';
import { followed, makeTables } from './schema.ts';
import { type Touched, Touches } from './touched.ts';

/**
 * The follower that the ledger's writer calls for every batch, inside the transaction that commits it: what a reader finds
 * in the projections is in the ledger, and the other way round. A worker loads this module by its URL.
 */
export type Follower = { apply(before: number, touched: Touched): void };

export { clear } from './schema.ts';

const BATCH_ENTRIES = 2000;

export function extract(entries: readonly Entry[]): Touched {
  const touches = new Touches();
  for (const [index, entry] of entries.entries()) touches.add(index + 1, entry);
  return touches.touched();
}

export function follow(db: DatabaseSync, partition = 0): Follower {
  return { apply: rowWriter(db, partition) };
}

/**
 * Makes the tables, and folds in what the ledger in the same file has beyond them: all of it where another version wrote the
 * tables, or where the ledger was written without them.
 */
export function prepare(db: DatabaseSync): void {
  makeTables(db);
  if (db.prepare(`SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'entries'`).get() === undefined) return;
  const from = followed(db);
  const last = Number(db.prepare('SELECT max(sequence) AS last FROM entries').get()?.['last'] ?? 0);
  if (from > last) throw ahead(from, last);
  const follower = follow(db);
  let touches = new Touches();
  for (const row of db
    .prepare('SELECT sequence, body FROM entries WHERE sequence > ? ORDER BY sequence')
    .iterate(from)) {
    touches.add(Number(row['sequence']), entryOf(String(row['body'])));
    if (touches.size < BATCH_ENTRIES) continue;
    follower.apply(0, touches.touched());
    touches = new Touches();
  }
  follower.apply(0, touches.touched());
}

function ahead(from: number, last: number): Fault {
  return new Fault(
    'PROJECTIONS_AHEAD',
    `the projections know entry ${from}, but the ledger ends at ${last}: its tail was cut off`,
    'Compare with `landfall audit --head`; where the ledger is right, `landfall rebuild` makes the projections anew.',
  );
}
