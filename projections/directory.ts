import type { DatabaseSync } from 'node:sqlite';
import type { Configuration } from '../events/configuration.ts';
import type { HostRecord, VmRecord } from '../events/records.ts';
import { type Deadlines, deadlines } from './attempts.ts';
import { ATTEMPTS, json, type OpenAttempt, openOf } from './read-rows.ts';
import { clockTimes, configuration, hostRecords } from './site.ts';

/** What a partition's decisions look up of their own past (`Directory` of consumers/), read from its projections. */
export type PartitionDirectory = {
  record(vm: string): VmRecord | null;
  attempt(migration: string): OpenAttempt | null;
  deadlines(): Iterable<Deadlines>;
  hosts(): Iterable<HostRecord>;
  configuration(): Configuration;
  times(): Iterable<readonly [clock: string, time: number]>;
};

export function directory(db: DatabaseSync, partition = 0): PartitionDirectory {
  const record = db.prepare('SELECT body FROM vms WHERE vm = ?');
  const attempt = db.prepare(`SELECT body FROM ${ATTEMPTS} WHERE attempts.migration = ? AND partition = ?`);
  return {
    record: (vm) => {
      const row = record.get(vm);
      return row === undefined ? null : json(row, 'body');
    },
    attempt: (migration) => {
      const row = attempt.get(migration, partition);
      return row === undefined ? null : openOf(row);
    },
    deadlines: () => deadlines(db, partition),
    hosts: () => hostRecords(db, partition),
    configuration: () => configuration(db, partition),
    times: () => clockTimes(db, partition),
  };
}
