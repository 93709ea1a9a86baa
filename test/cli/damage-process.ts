import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { createInterface } from 'node:readline';
import { commandLine } from '../support/command-line.ts';
import { type Damage, damaged } from './damage.ts';

/**
 * Damages copies of the ledger in its first argument as each line of standard input says, audits and rebuilds them, and prints
 * one line per copy. It is a process of its own, so that the test can end an audit that hangs.
 */

const [original = '', copy = ''] = process.argv.slice(2);
const bytes = readFileSync(original);
const content = contentOf(original);

/** Returns the content of all tables; null if it cannot be read. */
function contentOf(file: string): string | null {
  try {
    const db = new DatabaseSync(file, { readOnly: true });
    try {
      const tables = db.prepare(`SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name`).all();
      const names = tables.map(({ name }) => String(name));
      return JSON.stringify(names.map((name) => [name, db.prepare(`SELECT * FROM "${name}"`).all()]));
    } finally {
      db.close();
    }
  } catch {
    return null;
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  for (const suffix of ['', '-wal', '-shm', '.lock']) rmSync(copy + suffix, { force: true });
  writeFileSync(copy, damaged(bytes, JSON.parse(line) as Damage));
  const isChanged = contentOf(copy) !== content;
  const audit = await commandLine(['audit', '--db', copy]);
  const rebuild = await commandLine(['rebuild', '--db', copy]);
  console.log(JSON.stringify({ isChanged, audit, rebuild }));
}
