import { DatabaseSync } from 'node:sqlite';
import { entryOf, identityOf } from '../entry-text.ts';
import { keyOf } from '../identity-index.ts';
import { migrate } from './schema.ts';

/**
 * Checks the tables that are derived from the entries, for a ledger whose entries were verified. An altered identity would let
 * an input in twice; an altered snapshot would make a start verify from the wrong entry.
 */

/**
 * The largest number of entries in a batch. Older rows may have been removed, so the start of the first row's batch is
 * unknown.
 */
const BATCH_ENTRIES_MAX = 65_536;

export function* bookkeepingDamage(db: DatabaseSync): Generator<string> {
  yield* layoutDamage(db);
  yield* identityDamage(db);
  const strays = db.prepare(
    'SELECT s.sequence FROM snapshots s LEFT JOIN entries e USING (sequence) WHERE e.hash IS NOT s.hash ORDER BY 1',
  );
  for (const { sequence } of strays.iterate()) yield `the snapshot of entry ${Number(sequence)} does not have its hash`;
}

/** Compares the tables and indexes with those of a new ledger. The tables of projections are checked elsewhere. */
function* layoutDamage(db: DatabaseSync): Generator<string> {
  const fresh = new DatabaseSync(':memory:');
  try {
    migrate(fresh, 'a new ledger');
    const sql = "SELECT name, type || ' ' || tbl_name || ' ' || coalesce(sql, '') AS sql FROM sqlite_schema";
    const found = new Map(
      db
        .prepare(sql)
        .all()
        .map((row) => [row['name'], row['sql']]),
    );
    for (const row of fresh.prepare(sql).iterate())
      if (found.get(row['name'] ?? null) !== row['sql']) yield `${String(row['name'])} differs from its definition`;
  } finally {
    fresh.close();
  }
}

/** Checks that each row holds the keys of the inputs since the previous row. */
function* identityDamage(db: DatabaseSync): Generator<string> {
  let after: number | null = null;
  for (const row of db.prepare('SELECT sequence, time, keys FROM identities ORDER BY sequence').iterate()) {
    const last = Number(row['sequence']);
    const keys = row['keys'] instanceof Uint8Array ? Buffer.from(row['keys']) : Buffer.alloc(0);
    const since = recordsBetween(db, after ?? last - BATCH_ENTRIES_MAX, last);
    const expected = after === null ? since.subarray(Math.max(0, since.length - keys.length)) : since;
    const time = db.prepare('SELECT time FROM entries WHERE sequence = ?').get(last)?.['time'];
    if (!expected.equals(keys) || row['time'] !== time)
      yield `the identities of the inputs up to entry ${last} do not match the entries`;
    after = last;
  }
  const head = Number(db.prepare('SELECT max(sequence) AS last FROM entries').get()?.['last'] ?? 0);
  // The horizon removes the oldest rows only, so the rows of the newest inputs must exist.
  if (after === null && recordsBetween(db, Math.max(0, head - BATCH_ENTRIES_MAX), head).length > 0 && isYoung(db, head))
    yield 'the identities of all inputs are missing';
  if (after !== null && recordsBetween(db, after, head).length > 0)
    yield `the identities of the inputs after entry ${after} are missing`;
}

/** Returns true if the last entries span less than an hour, which every horizon covers. */
function isYoung(db: DatabaseSync, head: number): boolean {
  const timeAt = (sequence: number) =>
    Number(
      db.prepare('SELECT time FROM entries WHERE sequence >= ? ORDER BY sequence LIMIT 1').get(sequence)?.['time'] ?? 0,
    );
  return timeAt(head) - timeAt(Math.max(1, head - BATCH_ENTRIES_MAX)) < 3_600_000;
}

/** Computes the records as identity-rows.ts writes them: a key and its distance in entries from the last entry. */
function recordsBetween(db: DatabaseSync, after: number, last: number): Buffer {
  const records: Buffer[] = [];
  const entries = db.prepare(
    'SELECT sequence, body FROM entries WHERE sequence > ? AND sequence <= ? ORDER BY sequence',
  );
  for (const { sequence, body } of entries.iterate(after, last)) {
    const identity = identityOf(entryOf(String(body)));
    if (identity === null) continue;
    const before = Buffer.alloc(4);
    before.writeUInt32LE(last - Number(sequence));
    records.push(Buffer.from(keyOf(identity), 'latin1'), before);
  }
  return Buffer.concat(records);
}
