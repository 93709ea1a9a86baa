import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { setImmediate } from 'node:timers/promises';
import type { ChainFault, Link } from '../chain.ts';
import type { Head, StoredEntry } from '../port.ts';
import { sqliteFault } from './faults.ts';
import {
  checkedLinkOf,
  COLUMNS,
  damagedPage,
  headOf,
  indexKey,
  LazyEntry,
  linkOf,
  type Row,
  storedOf,
} from './rows.ts';
import { partitionIn } from './partition-number.ts';
import { BUCKET_BITS } from './schema.ts';

/** The number of rows per page; the event loop runs between two pages. */
const PAGE_ROWS = 200;
const BUCKET_ENTRIES = 2 ** BUCKET_BITS;

type NameColumn = 'vm' | 'migration';

/** Reads committed entries in constant memory. */
export class Reader {
  readonly #db: DatabaseSync;
  readonly #file: string;
  readonly #partition: number;
  readonly #page: StatementSync;
  readonly #texts: StatementSync;
  readonly #byName: Record<NameColumn, StatementSync>;

  constructor(db: DatabaseSync, file: string) {
    this.#db = db;
    this.#file = file;
    this.#partition = partitionIn(db);
    this.#page = db.prepare(`SELECT ${COLUMNS} FROM entries WHERE sequence BETWEEN ? AND ? ORDER BY sequence LIMIT ?`);
    this.#texts = db.prepare(
      'SELECT sequence, body FROM entries WHERE sequence BETWEEN ? AND ? ORDER BY sequence LIMIT ?',
    );
    this.#byName = { vm: prepareByName(db, 'vm'), migration: prepareByName(db, 'migration') };
  }

  get partition(): number {
    return this.#partition;
  }

  head(): Head {
    return this.#query(() => headOf(this.#db));
  }

  at(sequence: number): StoredEntry | null {
    const row = this.#query(() => this.#page.get(sequence, sequence, 1));
    return row === undefined ? null : storedOf(row, this.#partition);
  }

  /** Yields the entries from a sequence to the head at the time of the call. */
  async *from(first: number): AsyncGenerator<StoredEntry> {
    for await (const rows of this.#pages(this.#page, first))
      for (const row of rows) yield storedOf(row, this.#partition);
  }

  /** Yields the texts and hashes of the entries from a sequence to the head, without parsing or verifying them. */
  async *unparsedFrom(first: number): AsyncGenerator<Link> {
    for await (const rows of this.#pages(this.#page, first)) for (const row of rows) yield linkOf(row, this.#partition);
  }

  /** Yields pages of links, after comparing the search columns of each row with its text. */
  async *linksFrom(first: number): AsyncGenerator<Link[]> {
    for await (const rows of this.#pages(this.#page, first))
      yield rows.map((row) => checkedLinkOf(row, this.#partition));
  }

  /** Yields pages of entries that are parsed lazily. */
  async *textsFrom(first: number, last: number): AsyncGenerator<LazyEntry[]> {
    for await (const rows of this.#pages(this.#texts, first, last)) yield rows.map((row) => new LazyEntry(row));
  }

  /** Yields the entries of one VM or attempt, oldest first. */
  async *named(column: NameColumn, name: string, first: number): AsyncGenerator<StoredEntry> {
    const last = this.head().sequence;
    const statement = this.#byName[column];
    for (let from = first; from <= last; ) {
      const bucket = Math.floor(from / BUCKET_ENTRIES);
      const start = from;
      const rows = this.#query(() => statement.all(bucket, indexKey(name), name, start, last, PAGE_ROWS));
      if (rowsInOrder(rows, start).length < rows.length) throw this.#misplaced(start, rows[0]);
      for (const row of rows) yield storedOf(row, this.#partition);
      const isBucketDone = rows.length < PAGE_ROWS;
      from = isBucketDone ? (bucket + 1) * BUCKET_ENTRIES : Number(rows.at(-1)?.['sequence']) + 1;
      if (rows.length > 0) await setImmediate();
    }
  }

  /** Runs a query and turns SQLite's errors into faults. */
  #query<T>(query: () => T): T {
    try {
      return query();
    } catch (error) {
      throw sqliteFault(error, this.#file);
    }
  }

  async *#pages(statement: StatementSync, first: number, last = this.head().sequence): AsyncGenerator<Row[]> {
    for (let from = first; from <= last; ) {
      const start = from;
      const rows = this.#query(() => readableRows(statement, start, last));
      if (rows.length === 0) return;
      const ascending = rowsInOrder(rows, start);
      if (ascending.length === 0) throw this.#misplaced(start, rows[0]);
      yield ascending;
      from = Number(ascending.at(-1)?.['sequence']) + 1;
      await setImmediate();
    }
  }

  /** A damaged page returns rows with arbitrary sequences. A read that continued after this row could repeat the page without end. */
  #misplaced(sequence: number, row: Row | undefined): ChainFault {
    return damagedPage({ partition: this.#partition, sequence }, row?.['sequence']);
  }
}

/** Returns the next rows. If SQLite cannot read all of them, returns the rows before the damage. @throws if there are none. */
function readableRows(statement: StatementSync, start: number, last: number): Row[] {
  try {
    return statement.all(start, last, PAGE_ROWS);
  } catch (error) {
    const rows: Row[] = [];
    try {
      for (const row of statement.iterate(start, last, PAGE_ROWS)) rows.push(row);
    } catch {
      // The first error is reported when no row can be read.
    }
    if (rows.length === 0) throw error;
    return rows;
  }
}

/** Returns the leading rows whose sequences rise, beginning at `start` or later. */
function rowsInOrder(rows: Row[], start: number): Row[] {
  let before = start - 1;
  const wrong = rows.findIndex((row) => {
    const sequence = Number(row['sequence']);
    const isWrong = sequence <= before;
    before = sequence;
    return isWrong;
  });
  return wrong === -1 ? rows : rows.slice(0, wrong);
}

function prepareByName(db: DatabaseSync, column: NameColumn): StatementSync {
  return db.prepare(
    `SELECT ${COLUMNS} FROM entries INDEXED BY entries_by_${column}
      WHERE sequence >> ${BUCKET_BITS} = ? AND ${column}_key = ? AND ${column} = ? AND sequence BETWEEN ? AND ?
      ORDER BY sequence LIMIT ?`,
  );
}
