import type { DatabaseSync } from 'node:sqlite';
import type { Touched } from './touched.ts';

/** Writes the rows of one partition; each row is assigned from one entry (invariant 9). */

/** `before` is the sequence that `at` in the rows is relative to. */
export type RowWriter = (before: number, touched: Touched) => void;

const VM = `INSERT INTO vms (partition, sequence, time, vm, name, host, body) VALUES (?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (vm) DO UPDATE SET name = excluded.name, host = excluded.host, sequence = excluded.sequence,
    time = excluded.time, body = excluded.body`;

const ATTEMPT = `INSERT INTO attempts (partition, sequence, first, time, migration, vm, clock, source, destination, state, settled,
    contested, timers)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (migration, partition) DO UPDATE SET state = excluded.state, settled = excluded.settled,
    contested = excluded.contested, sequence = excluded.sequence, time = excluded.time, timers = excluded.timers`;

const HOST = `INSERT INTO hosts (partition, sequence, time, host, body) VALUES (?, ?, ?, ?, ?)
  ON CONFLICT (partition, host) DO UPDATE SET sequence = excluded.sequence, time = excluded.time, body = excluded.body`;

const CONFIGURATION =
  'INSERT OR REPLACE INTO configurations (partition, sequence, time, operator, body) VALUES (?, ?, ?, ?, ?)';

const DEAD_LETTER = `INSERT OR REPLACE INTO dead_letters
  (partition, sequence, time, vm, code, message, remedy, kind, type, source, id, stream, "offset", excerpt)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;

const PROGRESS = `INSERT INTO progress (partition, sequence, time, clock) VALUES (?, ?, ?, ?)
  ON CONFLICT (partition, clock) DO UPDATE SET sequence = excluded.sequence, time = excluded.time`;

export function rowWriter(db: DatabaseSync, partition: number): RowWriter {
  const attempt = db.prepare(ATTEMPT);
  const others = [
    [db.prepare(VM), 'vms'],
    [db.prepare(HOST), 'hosts'],
    [db.prepare(CONFIGURATION), 'configurations'],
    [db.prepare(DEAD_LETTER), 'deadLetters'],
    [db.prepare(PROGRESS), 'progress'],
  ] as const;
  return (before, touched) => {
    for (const [at, first, ...cells] of touched.attempts) attempt.run(partition, before + at, before + first, ...cells);
    for (const [statement, kind] of others)
      for (const [at, ...cells] of touched[kind]) statement.run(partition, before + at, ...cells);
  };
}
