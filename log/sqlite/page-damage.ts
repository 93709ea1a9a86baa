import { DatabaseSync } from 'node:sqlite';
import { messageOf } from '../../events/fault.ts';

/** Finds damaged pages of a ledger file with SQLite's own checks, and names the tables and indexes that they belong to. */

/** Problems that one check reports. */
const DAMAGE_MAX = 10;

/** Runs SQLite's integrity check over the whole file. @returns the problems found. */
export function pageDamage(db: DatabaseSync): string[] {
  const found = integrityDamage(db);
  if (found.length === 0) return [];
  return [...unreadablePages(db), ...found.slice(0, DAMAGE_MAX)];
}

/** Checks a file that the ledger's reader cannot open. @returns the problems found. */
export function pageDamageIn(file: string): string[] {
  try {
    const db = new DatabaseSync(file, { readOnly: true });
    try {
      return pageDamage(db);
    } finally {
      db.close();
    }
  } catch (error) {
    return [messageOf(error)];
  }
}

/** The check of the whole file ends at the first table that it cannot read; then each table is checked separately. */
function integrityDamage(db: DatabaseSync): string[] {
  try {
    return check(db, `PRAGMA integrity_check(${DAMAGE_MAX})`);
  } catch (error) {
    const each = tablesOf(db).flatMap((table) => tableDamage(db, table));
    return each.length > 0 ? each : [messageOf(error)];
  }
}

function tableDamage(db: DatabaseSync, table: string): string[] {
  try {
    return check(db, `PRAGMA integrity_check("${table}")`).map((line) => `table ${table}: ${line}`);
  } catch (error) {
    return [`table ${table}: ${messageOf(error)}`];
  }
}

function check(db: DatabaseSync, sql: string): string[] {
  const rows = db.prepare(sql).all();
  return rows.map((row) => String(row['integrity_check'])).filter((line) => line !== 'ok');
}

function tablesOf(db: DatabaseSync): string[] {
  try {
    const rows = db.prepare(`SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY rootpage`).all();
    return rows.map(({ name }) => String(name));
  } catch {
    return [];
  }
}

/** Returns the pages whose header cannot be read, with the table or index that they belong to. */
function unreadablePages(db: DatabaseSync): string[] {
  try {
    const rows = db
      .prepare(
        `SELECT d.name, d.pageno, coalesce(s.type, 'table') AS type FROM dbstat d LEFT JOIN sqlite_schema s ON s.name = d.name
          WHERE d.pagetype = 'corrupted' ORDER BY d.pageno LIMIT ${DAMAGE_MAX}`,
      )
      .all();
    return rows.map(
      ({ name, pageno, type }) => `page ${Number(pageno)}, of the ${String(type)} ${String(name)}, cannot be read`,
    );
  } catch {
    // The integrity check has reported a problem already.
    return [];
  }
}
