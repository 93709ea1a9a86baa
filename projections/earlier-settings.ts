import type { DatabaseSync } from 'node:sqlite';
import { type Configuration, forAttempt } from '../events/configuration.ts';
import { attemptState } from './attempts.ts';
import { map, text } from './read-rows.ts';

/** The largest number of attempts that are listed. */
const LISTED_MAX = 1000;

/** The open attempts whose call returned under other settings than these, oldest first. They keep their settings. */
export function attemptsWithEarlierSettings(db: DatabaseSync, configuration: Configuration): string[] {
  const sql = 'SELECT migration FROM attempts WHERE settled = 0 ORDER BY partition, first LIMIT ?';
  const settings = JSON.stringify(forAttempt(configuration));
  return [...map(db, sql, [LISTED_MAX], (row) => text(row, 'migration'))].filter((migration) => {
    const attempt = attemptState(db, migration)?.state.attempt;
    if (attempt === undefined || attempt.returnedAt === null) return false;
    return JSON.stringify(forAttempt({ ...configuration, ...attempt.configuration })) !== settings;
  });
}
