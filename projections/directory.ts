import type { DatabaseSync } from 'node:sqlite';
import type { Directory } from '../log/directory.ts';
import { deadlines } from './attempts.ts';
import { ATTEMPTS, json, openOf } from './read-rows.ts';
import { clockTimes, configuration, hostRecords } from './site.ts';

/** Returns the directory of the partition whose projections `db` holds. */
export function directory(db: DatabaseSync): Directory {
  const record = db.prepare('SELECT body FROM vms WHERE vm = ?');
  const attempt = db.prepare(`SELECT body FROM ${ATTEMPTS} WHERE attempts.migration = ?`);
  return {
    record: (vm) => {
      const row = record.get(vm);
      return row === undefined ? null : json(row, 'body');
    },
    attempt: (migration) => {
      const row = attempt.get(migration);
      return row === undefined ? null : openOf(row);
    },
    deadlines: () => deadlines(db),
    hosts: () => hostRecords(db),
    configuration: () => configuration(db),
    times: () => clockTimes(db),
  };
}
