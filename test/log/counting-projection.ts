import type { DatabaseSync } from 'node:sqlite';
import type { Entry } from '../../events/entries.ts';
import type { InlineProjection } from '../../log/sqlite/inline-projections.ts';

/** An inline projection that counts entries and transactions, and throws on an input with the id `fail`. */
export function prepare(db: DatabaseSync): void {
  db.exec('CREATE TABLE IF NOT EXISTS counted (id INTEGER PRIMARY KEY, count INTEGER, flushes INTEGER) STRICT');
  db.exec('INSERT OR IGNORE INTO counted VALUES (1, 0, 0)');
}

export function extract(entries: readonly Entry[]): string[] {
  return entries.map(({ cause }) => (cause.kind === 'input' ? cause.id : cause.kind));
}

export function reset(): void {}

export function open(db: DatabaseSync): InlineProjection<string[]> {
  const add = db.prepare('UPDATE counted SET count = count + ?, flushes = flushes + 1');
  let pending = 0;
  return {
    apply(_, ids) {
      if (ids.includes('fail')) throw new Error('no');
      pending += ids.length;
    },
    flush() {
      if (pending > 0) add.run(pending);
      pending = 0;
    },
  };
}
