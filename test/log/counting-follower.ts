import type { DatabaseSync } from 'node:sqlite';
import type { Follower } from '../../log/sqlite/followers.ts';

/** Counts entries and transactions; fails on an input with the id `fail`. */
export function prepare(db: DatabaseSync): void {
  db.exec('CREATE TABLE IF NOT EXISTS counted (id INTEGER PRIMARY KEY, count INTEGER, flushes INTEGER) STRICT');
  db.exec('INSERT OR IGNORE INTO counted VALUES (1, 0, 0)');
}

export function follow(db: DatabaseSync): Follower {
  const add = db.prepare('UPDATE counted SET count = count + ?, flushes = flushes + 1');
  let pending = 0;
  return {
    apply(_, entry) {
      if (entry.cause.kind === 'input' && entry.cause.id === 'fail') throw new Error('no');
      pending += 1;
    },
    flush() {
      if (pending > 0) add.run(pending);
      pending = 0;
    },
  };
}
