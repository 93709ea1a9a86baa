import { rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { Samples, timed } from './measure.ts';

/** Measures the best rates that the disk and SQLite reach with the texts of Landfall's entries and no other work. */

/** Inserts rows in transactions of `perCommit` rows. @returns milliseconds. */
export function bareInserts(file: string, texts: readonly string[], perCommit: number): number {
  return withTable(file, (insert, db) =>
    timed(() => {
      for (let start = 0; start < texts.length; start += perCommit) {
        db.exec('BEGIN IMMEDIATE');
        for (const text of texts.slice(start, start + perCommit)) insert(text);
        db.exec('COMMIT');
      }
    }),
  );
}

/** Measures transactions of a single row. @returns one sample per transaction, in milliseconds. */
export function bareCommits(file: string, text: string, count: number): Samples {
  return withTable(file, (insert, db) => {
    const samples = new Samples();
    for (let nth = 0; nth < count; nth += 1) {
      const ms = timed(() => {
        db.exec('BEGIN IMMEDIATE');
        insert(text);
        db.exec('COMMIT');
      });
      samples.add(ms);
    }
    return samples;
  });
}

function withTable<T>(file: string, work: (insert: (text: string) => void, db: DatabaseSync) => T): T {
  const db = new DatabaseSync(file);
  try {
    // The connection of the ledger uses these settings.
    db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 4000;
      CREATE TABLE rows (sequence INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT`);
    const statement = db.prepare('INSERT INTO rows (body) VALUES (?)');
    return work((text) => void statement.run(text), db);
  } finally {
    db.close();
    for (const suffix of ['', '-wal', '-shm']) rmSync(`${file}${suffix}`, { force: true });
  }
}

/** Reads and parses every entry without further work. @returns milliseconds. */
export function bareReading(file: string): { ms: number; entries: number } {
  const db = new DatabaseSync(file, { readOnly: true });
  try {
    let entries = 0;
    const ms = timed(() => {
      for (const { body } of db.prepare('SELECT body FROM entries ORDER BY sequence').iterate()) {
        JSON.parse(String(body));
        entries += 1;
      }
    });
    return { ms, entries };
  } finally {
    db.close();
  }
}
