import { DatabaseSync } from 'node:sqlite';
import { entryOf, identityOf } from '../entry-text.ts';
import { keyOf } from '../identity-index.ts';
import { migrate } from './schema.ts';

/**
 * What stands beside the entries and follows from them: an altered identity would let an input in twice, an altered snapshot
 * would have a start verify from the wrong place. To be asked where the entries themselves are whole.
 */

/** A batch is not longer than this; the first row's batch may begin behind what was forgotten. */
const BATCH_ENTRIES_MAX = 65_536;

export function* bookkeepingDamage(db: DatabaseSync): Generator<string> {
  yield* layoutDamage(db);
  yield* identityDamage(db);
  const strays = db.prepare(
    'SELECT s.sequence FROM snapshots s LEFT JOIN entries e USING (sequence) WHERE e.hash IS NOT s.hash ORDER BY 1',
  );
  for (const { sequence } of strays.iterate()) yield `the snapshot of entry ${Number(sequence)} does not have its hash`;
}

/** Tables and indexes as a new ledger has them; others, of projections, are theirs to check. */
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
      if (found.get(row['name'] ?? null) !== row['sql'])
        yield `${String(row['name'])} is laid out otherwise than it was made`;
  } finally {
    fresh.close();
  }
}

/** Each row holds the keys of the inputs since the row before it. */
function* identityDamage(db: DatabaseSync): Generator<string> {
  let after: number | null = null;
  for (const row of db.prepare('SELECT sequence, time, keys FROM identities ORDER BY sequence').iterate()) {
    const last = Number(row['sequence']);
    const keys = row['keys'] instanceof Uint8Array ? Buffer.from(row['keys']) : Buffer.alloc(0);
    const since = recordsBetween(db, after ?? last - BATCH_ENTRIES_MAX, last);
    const expected = after === null ? since.subarray(Math.max(0, since.length - keys.length)) : since;
    const time = db.prepare('SELECT time FROM entries WHERE sequence = ?').get(last)?.['time'];
    if (!expected.equals(keys) || row['time'] !== time)
      yield `the identities of the inputs up to entry ${last} are not those of its entries`;
    after = last;
  }
  const head = Number(db.prepare('SELECT max(sequence) AS last FROM entries').get()?.['last'] ?? 0);
  // Rows are forgotten from the oldest on, and not before their horizon: of the newest inputs there is always one.
  if (after === null && recordsBetween(db, Math.max(0, head - BATCH_ENTRIES_MAX), head).length > 0 && isYoung(db, head))
    yield 'the identities of all inputs are missing';
  if (after !== null && recordsBetween(db, after, head).length > 0)
    yield `the identities of the inputs after entry ${after} are missing`;
}

/** Whether the last entries are of one hour: less than any horizon forgets. */
function isYoung(db: DatabaseSync, head: number): boolean {
  const timeAt = (sequence: number) =>
    Number(
      db.prepare('SELECT time FROM entries WHERE sequence >= ? ORDER BY sequence LIMIT 1').get(sequence)?.['time'] ?? 0,
    );
  return timeAt(head) - timeAt(Math.max(1, head - BATCH_ENTRIES_MAX)) < 3_600_000;
}

/** As identity-rows.ts writes them: a key, and how many entries before the last it was consumed. */
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
