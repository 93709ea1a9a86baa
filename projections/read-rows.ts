import type { DatabaseSync, SQLInputValue, SQLOutputValue } from 'node:sqlite';
import type { AttemptState } from '../events/attempt.ts';
import type { Entry, Timers } from '../events/entries.ts';
import { Fault, messageOf } from '../events/fault.ts';
import { entryOf } from '../log/entry-text.ts';
import { formatPosition } from '../log/port.ts';

/** Helpers for typed reads. The row writer wrote the JSON from validated entries, so it is not validated again. */

export type Row = Record<string, SQLOutputValue>;
export type OpenAttempt = { state: AttemptState; timers: Timers };
/** `after` is the key of the last item of the previous page. */
export type Page = { after?: string; limit?: number };
export type AsOf = { position: string; time: string | null };

export const text = (row: Row, column: string): string => String(row[column]);
export const textOrNull = (row: Row, column: string): string | null =>
  row[column] === null ? null : String(row[column]);
export const numberOf = (row: Row, column: string): number => Number(row[column]);
export const numberOrNull = (row: Row, column: string): number | null =>
  row[column] === null ? null : Number(row[column]);

export function json<T>(row: Row, column: string): T {
  try {
    return JSON.parse(text(row, column)) as T;
  } catch (error) {
    throw damaged(messageOf(error), error);
  }
}

function damaged(why: string, cause?: unknown): Fault {
  return new Fault(
    'PROJECTIONS_DAMAGED',
    `a row of the projections cannot be read: ${why}`,
    'Run landfall audit to see the differences, and landfall rebuild to repair the projections.',
    cause,
  );
}

export const iso = (ms: number): string => new Date(ms).toISOString();
export const isoOrNull = (ms: number | null): string | null => (ms === null ? null : iso(ms));
export const limitOf = ({ limit }: Page): number => limit ?? -1;

/** Joins attempts with the entries that they were assigned from, for `openOf`. */
export const ATTEMPTS = 'attempts LEFT JOIN entries ON entries.sequence = attempts.sequence';

/** Reads the attempt from the `body` of its entry. */
export function openOf(row: Row): OpenAttempt {
  if (row['body'] === null) throw damaged('its entry is missing');
  const { attempt, timers } = entryIn(row);
  if (attempt === null) throw damaged('its entry holds no attempt');
  return { state: attempt, timers };
}

function entryIn(row: Row): Entry {
  try {
    return entryOf(text(row, 'body'));
  } catch (error) {
    throw error instanceof Fault ? error : damaged(messageOf(error), error);
  }
}

export function* map<T>(
  db: DatabaseSync,
  sql: string,
  values: readonly SQLInputValue[],
  make: (row: Row) => T,
): Generator<T> {
  for (const row of db.prepare(sql).iterate(...values)) yield make(row);
}

/** Returns the position of the last folded entry and the newest time. */
export function standing(db: DatabaseSync): AsOf {
  // With max() SQLite returns the other columns of the same row.
  const rows = db
    .prepare('SELECT partition, max(sequence) AS sequence, time FROM progress GROUP BY partition ORDER BY partition')
    .all();
  const positions = rows.map((row) =>
    formatPosition({ partition: numberOf(row, 'partition'), sequence: numberOf(row, 'sequence') }),
  );
  if (positions.length === 0) return { position: formatPosition({ partition: 0, sequence: 0 }), time: null };
  return { position: positions.join(','), time: iso(Math.max(...rows.map((row) => numberOf(row, 'time')))) };
}
