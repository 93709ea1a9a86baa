import type { DatabaseSync } from 'node:sqlite';
import { type Row } from './read-rows.ts';
import { type Table, tables } from './schema.ts';

/** Compares the projections in two databases row by row and byte by byte. */

export type Difference = {
  table: string;
  /** The columns of the row's key, joined by a slash. */
  key: string;
  /** Partition and sequence of the entry that the row was assigned from. */
  partition: number;
  sequence: number;
  /** The first column that differs; null if one side lacks the row. */
  column: string | null;
  left: string | null;
  right: string | null;
};

const DIFFERENCES_MAX = 20;

/** Returns the first differences between `left` and `right`, at most `limit`. */
export function difference(left: DatabaseSync, right: DatabaseSync, limit = DIFFERENCES_MAX): Difference[] {
  const found: Difference[] = [];
  for (const table of tables) {
    for (const [a, b] of paired(rowsOf(left, table), rowsOf(right, table), table)) {
      const differing = compareRows(table, a, b);
      if (differing !== null) found.push(differing);
      if (found.length >= limit) return found;
    }
  }
  return found;
}

function rowsOf(db: DatabaseSync, { name, key }: Table): Iterator<Row> {
  return db.prepare(`SELECT * FROM ${name} ORDER BY ${key.join(', ')}`).iterate();
}

type Pair = [left: Row | null, right: Row | null];

/** Merges both sides in key order: rows with the same key form a pair, the other rows are paired with null. */
function* paired(left: Iterator<Row>, right: Iterator<Row>, table: Table): Generator<Pair> {
  let [a, b] = [nextOf(left), nextOf(right)];
  while (a !== null || b !== null) {
    const order = a === null ? 1 : b === null ? -1 : compareKeys(table, a, b);
    yield [order <= 0 ? a : null, order >= 0 ? b : null];
    if (order <= 0) a = nextOf(left);
    if (order >= 0) b = nextOf(right);
  }
}

function nextOf(rows: Iterator<Row>): Row | null {
  const next = rows.next();
  return next.done === true ? null : next.value;
}

function compareKeys({ key }: Table, a: Row, b: Row): number {
  for (const column of key) {
    const [x, y] = [a[column], b[column]];
    if (x === y) continue;
    if (typeof x === 'number' && typeof y === 'number') return x - y;
    // SQLite sorts text by its UTF-8 bytes, which differs from the UTF-16 order of JavaScript.
    return Buffer.compare(Buffer.from(String(x)), Buffer.from(String(y)));
  }
  return 0;
}

function compareRows(table: Table, a: Row | null, b: Row | null): Difference | null {
  const row = a ?? b;
  if (row === null) return null;
  const key = table.key.map((column) => String(row[column])).join('/');
  const at = { table: table.name, key, partition: Number(row['partition']), sequence: Number(row['sequence']) };
  if (a === null || b === null)
    return { ...at, column: null, left: a === null ? null : 'present', right: b === null ? null : 'present' };
  const column = Object.keys(a).find((name) => a[name] !== b[name]);
  return column === undefined ? null : { ...at, column, left: String(a[column]), right: String(b[column]) };
}
