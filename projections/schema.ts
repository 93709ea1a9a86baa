import { DatabaseSync } from 'node:sqlite';

/**
 * The read model: tables that are folds of the ledger and nothing else. A row names the entry it was assigned from, and has
 * the columns that are searched. What is small is kept beside them as the JSON that the entry recorded; an attempt is not: it
 * is read from the entry itself, which stands in the same file (read-rows.ts).
 */

/** Raise it with any change of the tables or of what is written to them: what an older version wrote is thrown away. */
export const PROJECTION_VERSION = 3;

/** `key` names a row; the rows lie in the order of `stored`, or else of their key. */
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
    // `first` is the entry that began the attempt: the order in which attempts are listed, and lie. Those that change lie
    // close together then, so that a commit writes few pages.
    name: 'attempts',
    key: ['migration', 'partition'],
    stored: ['partition', 'first'],
    columns: `partition INTEGER NOT NULL, first INTEGER NOT NULL, migration TEXT NOT NULL, vm TEXT NOT NULL, clock TEXT NOT NULL,
      source TEXT NOT NULL, destination TEXT NOT NULL, state TEXT NOT NULL, settled INTEGER NOT NULL,
      contested INTEGER NOT NULL, sequence INTEGER NOT NULL, time INTEGER NOT NULL, timers TEXT NOT NULL`,
  },
  {
    // What concerns the site reaches every partition, and each folds its own.
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
    // How far the fold is, for each clock that entries name.
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

/** Makes the tables. Those of another version are dropped: the fold begins anew, at the ledger's first entry. */
export function makeTables(db: DatabaseSync): void {
  if (projectionVersion(db) === PROJECTION_VERSION && brokenTables(db).length === 0) return;
  for (const name of ['projection', ...tables.map((table) => table.name)]) db.exec(`DROP TABLE IF EXISTS ${name}`);
  for (const sql of layout) db.exec(sql);
  db.prepare('INSERT INTO projection (one, version) VALUES (1, ?)').run(PROJECTION_VERSION);
}

/** Empties the tables, of one partition or of all. */
export function clear(db: DatabaseSync, partition?: number): void {
  for (const { name } of tables) {
    if (partition === undefined) db.exec(`DELETE FROM ${name}`);
    else db.prepare(`DELETE FROM ${name} WHERE partition = ?`).run(partition);
  }
}

/** The version that wrote the tables; null where there are none. A reader must not touch them unless it is its own. */
export function projectionVersion(db: DatabaseSync): number | null {
  const exists = db.prepare(`SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'projection'`).get();
  return exists === undefined ? null : storedVersion(db);
}

/** Those of the tables and indexes that somebody dropped, or laid out otherwise. */
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

/** Everything the schema says of each table and index, those that SQLite adds by itself included. */
function layoutOf(db: DatabaseSync): [name: string, text: string][] {
  const rows = db.prepare('SELECT type, name, tbl_name, sql FROM sqlite_schema').all();
  return rows.map((row) => [String(row['name']), JSON.stringify(Object.values(row))]);
}

function storedVersion(db: DatabaseSync): number | null {
  const row = db.prepare('SELECT version FROM projection').get();
  return row === undefined ? null : Number(row['version']);
}

/** The last sequence that is folded in; 0 where none is. The fold goes on at the one after it. */
export function followed(db: DatabaseSync, partition = 0): number {
  const row = db.prepare('SELECT max(sequence) AS last FROM progress WHERE partition = ?').get(partition);
  return Number(row?.['last'] ?? 0);
}
