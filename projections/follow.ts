import type { DatabaseSync } from 'node:sqlite';
import type { Entry } from '../events/entries.ts';
import { Fault } from '../events/fault.ts';
import { entryOf } from '../log/entry-text.ts';
import { type RowWriter, rowWriter } from './rows.ts';
import { followed, makeTables } from './schema.ts';

/**
 * The follower that the ledger's writer calls for every entry, inside the transaction that commits it: what a reader finds
 * in the projections is in the ledger, and the other way round. A worker loads this module by its URL.
 *
 * Rows are assigned, never changed by degrees (invariant 9). So of all the entries between two flushes only the last of each
 * VM, attempt, host and clock is written, which is several times faster than a write for each.
 */
export type Follower = { apply(sequence: number, entry: Entry): void; flush(): void };

export { clear } from './schema.ts';

const FLUSH_ENTRIES = 2000;

type Latest = { sequence: number; entry: Entry };
type Held = {
  vms: Map<string, Latest>;
  attempts: Map<string, Latest & { first: number }>;
  hosts: Map<string, Latest>;
  clocks: Map<string, Latest>;
};

export function follow(db: DatabaseSync, partition = 0): Follower {
  const rows = rowWriter(db, partition);
  const held: Held = { vms: new Map(), attempts: new Map(), hosts: new Map(), clocks: new Map() };
  return {
    apply(sequence, entry) {
      hold(held, sequence, entry);
      if (entry.configuration !== null) rows.configuration(sequence, entry);
      if (entry.refusal !== null) rows.deadLetter(sequence, entry);
    },
    flush() {
      write(held, rows);
      for (const map of Object.values(held)) map.clear();
    },
  };
}

function hold({ vms, attempts, hosts, clocks }: Held, sequence: number, entry: Entry): void {
  const latest = { sequence, entry };
  if (entry.record !== null) vms.set(entry.record.vm, latest);
  if (entry.host !== null) hosts.set(entry.host.host, latest);
  clocks.set(entry.clock, latest);
  if (entry.attempt === null) return;
  const { migration } = entry.attempt.attempt;
  attempts.set(migration, { ...latest, first: attempts.get(migration)?.first ?? sequence });
}

function write({ vms, attempts, hosts, clocks }: Held, rows: RowWriter): void {
  for (const { sequence, entry } of vms.values())
    if (entry.record !== null) rows.vm(sequence, entry.time, entry.record);
  for (const { first, sequence, entry } of attempts.values()) {
    if (entry.attempt !== null) rows.attempt(first, sequence, entry.time, entry.attempt, entry.timers);
  }
  for (const { sequence, entry } of hosts.values())
    if (entry.host !== null) rows.host(sequence, entry.time, entry.host);
  for (const { sequence, entry } of clocks.values()) rows.progress(sequence, entry.time, entry.clock);
}

/**
 * Makes the tables, and folds in what the ledger in the same file has beyond them: all of it where another version wrote the
 * tables, or where the ledger was written without them.
 */
export function prepare(db: DatabaseSync): void {
  makeTables(db);
  if (db.prepare(`SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'entries'`).get() === undefined) return;
  const from = followed(db);
  const last = Number(db.prepare('SELECT max(sequence) AS last FROM entries').get()?.['last'] ?? 0);
  if (from > last) throw ahead(from, last);
  const follower = follow(db);
  let unflushed = 0;
  for (const row of db
    .prepare('SELECT sequence, body FROM entries WHERE sequence > ? ORDER BY sequence')
    .iterate(from)) {
    follower.apply(Number(row['sequence']), entryOf(String(row['body'])));
    unflushed += 1;
    if (unflushed % FLUSH_ENTRIES === 0) follower.flush();
  }
  follower.flush();
}

function ahead(from: number, last: number): Fault {
  return new Fault(
    'PROJECTIONS_AHEAD',
    `the projections know entry ${from}, but the ledger ends at ${last}: its tail was cut off`,
    'Compare with `landfall audit --head`; where the ledger is right, `landfall rebuild` makes the projections anew.',
  );
}
