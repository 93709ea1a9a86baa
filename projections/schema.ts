import { DatabaseSync } from 'node:sqlite';

/**
 * The read model: tables that are folds of one partition of the ledger. A row names the entry that it was assigned from. Small
 * records are stored as the JSON of the entry; attempts are read from the entry itself, in the same file (read-rows.ts).
 */

/** Increase the version with any change to the tables or their contents: tables of another version are rebuilt. */
export const PROJECTION_VERSION = 3;

/** `key` identifies a row. Rows are stored in the order of `stored`, or of `key` if `stored` is absent. */
export type Table = {
  readonly name: string;
  readonly key: readonly string[];
  readonly stored?: readonly string[];
  readonly columns: string;
};

export const tables: readonly Table[] = [
  {
    name: 'vms',
    key: ['vm'],
    columns: `partition INTEGER NOT NULL, vm TEXT NOT NULL, name TEXT, host TEXT, sequence INTEGER NOT NULL,
      time INTEGER NOT NULL, body TEXT NOT NULL`,
  },
  {
    // `first` is the entry that began the attempt. Rows in this order keep the active attempts close together, so that a
    // commit writes few pages.
    name: 'attempts',
    key: ['migration', 'partition'],
    stored: ['partition', 'first'],
    columns: `partition INTEGER NOT NULL, first INTEGER NOT NULL, migration TEXT NOT NULL, vm TEXT NOT NULL, clock TEXT NOT NULL,
      source TEXT NOT NULL, destination TEXT NOT NULL, state TEXT NOT NULL, settled INTEGER NOT NULL,
      contested INTEGER NOT NULL, sequence INTEGER NOT NULL, time INTEGER NOT NULL, timers TEXT NOT NULL`,
  },
  {
    // Every partition receives the inputs that concern the site.
    name: 'hosts',
    key: ['partition', 'host'],
    columns: `partition INTEGER NOT NULL, host TEXT NOT NULL, sequence INTEGER NOT NULL, time INTEGER NOT NULL, body TEXT NOT NULL`,
  },
  {
    name: 'configurations',
    key: ['partition', 'sequence'],
    columns: `partition INTEGER NOT NULL, sequence INTEGER NOT NULL, time INTEGER NOT NULL, operator TEXT, body TEXT NOT NULL`,
  },
  {
    name: 'dead_letters',
    key: ['partition', 'sequence'],
    columns: `partition INTEGER NOT NULL, sequence INTEGER NOT NULL, time INTEGER NOT NULL, vm TEXT, code TEXT NOT NULL,
      message TEXT NOT NULL, remedy TEXT NOT NULL, kind TEXT NOT NULL, type TEXT, source TEXT, id TEXT, stream TEXT,
      "offset" INTEGER, excerpt TEXT`,
  },
  {
    // The last folded entry of each clock.
    name: 'progress',
    key: ['partition', 'clock'],
    columns: `partition INTEGER NOT NULL, clock TEXT NOT NULL, sequence INTEGER NOT NULL, time INTEGER NOT NULL`,
  },
];

const indexes = [
  'CREATE INDEX vms_by_name ON vms (name)',
  'CREATE UNIQUE INDEX attempts_by_migration ON attempts (migration, partition)',
  'CREATE INDEX attempts_by_vm ON attempts (vm)',
  'CREATE INDEX dead_letters_by_input ON dead_letters (source, id)',
  'CREATE INDEX attempts_unsettled ON attempts (partition, first) WHERE settled = 0',
];
const versionTable =
  'CREATE TABLE projection (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL) STRICT';

const sqlOf = ({ name, key, stored, columns }: Table) =>
  `CREATE TABLE ${name} (${columns}, PRIMARY KEY (${(stored ?? key).join(', ')})) STRICT${stored === undefined ? '' : ', WITHOUT ROWID'}`;
const layout = [versionTable, ...tables.map(sqlOf), ...indexes];

/** Creates the tables. Tables of another version are dropped, so that the fold starts at the first entry again. */
export function makeTables(db: DatabaseSync): void {
  if (projectionVersion(db) === PROJECTION_VERSION && brokenTables(db).length === 0) return;
  for (const name of ['projection', ...tables.map((table) => table.name)]) db.exec(`DROP TABLE IF EXISTS ${name}`);
  for (const sql of layout) db.exec(sql);
  db.prepare('INSERT INTO projection (one, version) VALUES (1, ?)').run(PROJECTION_VERSION);
}

export function clear(db: DatabaseSync): void {
  for (const { name } of tables) db.exec(`DELETE FROM ${name}`);
}

/** Creates the tables if they are missing, and empties them. */
export function reset(db: DatabaseSync): void {
  makeTables(db);
  clear(db);
}

/** Earlier versions wrote the rows of every replica as those of partition 0. */
export function hasOtherPartition(db: DatabaseSync, partition: number): boolean {
  return db.prepare('SELECT 1 FROM progress WHERE partition <> ? LIMIT 1').get(partition) !== undefined;
}

/**
 * Returns the version that wrote the tables; null if there are none. A reader must not use tables of another version.
 */
export function projectionVersion(db: DatabaseSync): number | null {
  const exists = db.prepare(`SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'projection'`).get();
  return exists === undefined ? null : storedVersion(db);
}

/** Returns the names of tables and indexes that are missing or differ from this version's definition. */
export function brokenTables(db: DatabaseSync): string[] {
  const fresh = new DatabaseSync(':memory:');
  try {
    makeTables(fresh);
    const present = new Set(layoutOf(db).map(([, text]) => text));
    return layoutOf(fresh).flatMap(([name, text]) => (present.has(text) ? [] : [name]));
  } finally {
    fresh.close();
  }
}

/** Returns the schema rows of all tables and indexes, including SQLite's automatic indexes. */
function layoutOf(db: DatabaseSync): [name: string, text: string][] {
  const rows = db.prepare('SELECT type, name, tbl_name, sql FROM sqlite_schema').all();
  return rows.map((row) => [String(row['name']), JSON.stringify(Object.values(row))]);
}

function storedVersion(db: DatabaseSync): number | null {
  const row = db.prepare('SELECT version FROM projection').get();
  return row === undefined ? null : Number(row['version']);
}

/** Returns the sequence of the last folded entry; 0 if none is. */
export function foldedThrough(db: DatabaseSync): number {
  const row = db.prepare('SELECT max(sequence) AS last FROM progress').get();
  return Number(row?.['last'] ?? 0);
}
