import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { setImmediate } from 'node:timers/promises';
import type { Link } from '../chain.ts';
import type { Head, StoredEntry } from '../port.ts';
import { sqliteFault } from './faults.ts';
import { checkedLinkOf, COLUMNS, headOf, indexKey, type Row, storedOf, Unread } from './rows.ts';
import { BUCKET_BITS } from './schema.ts';

/** Rows fetched at once; between two pages the event loop gets its turn. */
const PAGE_ROWS = 200;
const BUCKET_ENTRIES = 2 ** BUCKET_BITS;

type NameColumn = 'vm' | 'migration';

/** Reads committed entries in constant memory. */
export class Reader {
  readonly #db: DatabaseSync;
  readonly #file: string;
  readonly #page: StatementSync;
  readonly #texts: StatementSync;
  readonly #byName: Record<NameColumn, StatementSync>;

  constructor(db: DatabaseSync, file: string) {
    this.#db = db;
    this.#file = file;
    this.#page = db.prepare(`SELECT ${COLUMNS} FROM entries WHERE sequence BETWEEN ? AND ? ORDER BY sequence LIMIT ?`);
    this.#texts = db.prepare(
      'SELECT sequence, body FROM entries WHERE sequence BETWEEN ? AND ? ORDER BY sequence LIMIT ?',
    );
    this.#byName = { vm: prepareByName(db, 'vm'), migration: prepareByName(db, 'migration') };
  }

  head(): Head {
    return this.#ask(() => headOf(this.#db));
  }

  at(sequence: number): StoredEntry | null {
    const row = this.#ask(() => this.#page.get(sequence, sequence, 1));
    return row === undefined ? null : storedOf(row);
  }

  /** Everything from a sequence on, until the head as it is now. */
  async *from(first: number): AsyncGenerator<StoredEntry> {
    for await (const rows of this.#pages(this.#page, first)) for (const row of rows) yield storedOf(row);
  }

  /** What the chain covers of them, many at once, each row's other columns compared with its text. */
  async *linksFrom(first: number): AsyncGenerator<Link[]> {
    for await (const rows of this.#pages(this.#page, first)) yield rows.map(checkedLinkOf);
  }

  /** Only their texts, many at once, which are parsed when somebody asks for it. */
  async *textsFrom(first: number, last: number): AsyncGenerator<Unread[]> {
    for await (const rows of this.#pages(this.#texts, first, last)) yield rows.map((row) => new Unread(row));
  }

  /** The entries of one VM or attempt, oldest first. */
  async *named(column: NameColumn, name: string, first: number): AsyncGenerator<StoredEntry> {
    const last = this.head().sequence;
    const statement = this.#byName[column];
    for (let from = first; from <= last; ) {
      const bucket = Math.floor(from / BUCKET_ENTRIES);
      const start = from;
      const rows = this.#ask(() => statement.all(bucket, indexKey(name), name, start, last, PAGE_ROWS));
      for (const row of rows) yield storedOf(row);
      const isBucketDone = rows.length < PAGE_ROWS;
      from = isBucketDone ? (bucket + 1) * BUCKET_ENTRIES : Number(rows.at(-1)?.['sequence']) + 1;
      if (rows.length > 0) await setImmediate();
    }
  }

  /** A file that was damaged while it is read says so in words. */
  #ask<T>(question: () => T): T {
    try {
      return question();
    } catch (error) {
      throw sqliteFault(error, this.#file);
    }
  }

  async *#pages(statement: StatementSync, first: number, last = this.head().sequence): AsyncGenerator<Row[]> {
    for (let from = first; from <= last; ) {
      const start = from;
      const rows = this.#ask(() => statement.all(start, last, PAGE_ROWS));
      if (rows.length === 0) return;
      yield rows;
      from = Number(rows.at(-1)?.['sequence']) + 1;
      await setImmediate();
    }
  }
}

function prepareByName(db: DatabaseSync, column: NameColumn): StatementSync {
  return db.prepare(
    `SELECT ${COLUMNS} FROM entries INDEXED BY entries_by_${column}
      WHERE sequence >> ${BUCKET_BITS} = ? AND ${column}_key = ? AND ${column} = ? AND sequence BETWEEN ? AND ?
      ORDER BY sequence LIMIT ?`,
  );
}
