import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { Entry } from '../../events/entries.ts';
import { identityOf } from '../entry-text.ts';
import { type IdentityIndex, KEY_BYTES, keyOf } from '../identity-index.ts';

/** How long consumed identities are remembered: whichever ends first. */
export type Horizon = { readonly seconds: number; readonly count: number };

/** A key, and how many entries before the last one of its batch it was consumed. */
const RECORD_BYTES = KEY_BYTES + 4;
/** Rows forgotten per commit at most, so that a shortened horizon delays no commit for long. */
const FORGOTTEN_ROWS_MAX = 64;

/** The keys of the inputs that a batch consumes, as they are stored. */
export function recordsOf(entries: readonly Entry[]): Uint8Array {
  // Memory of its own: a message carries along all the memory that its bytes are a part of.
  const records = Buffer.allocUnsafeSlow(entries.length * RECORD_BYTES);
  let end = 0;
  for (const [index, entry] of entries.entries()) {
    const identity = identityOf(entry);
    if (identity === null) continue;
    records.write(keyOf(identity), end, 'latin1');
    records.writeUInt32LE(entries.length - 1 - index, end + KEY_BYTES);
    end += RECORD_BYTES;
  }
  return end === records.length ? records : Uint8Array.prototype.slice.call(records, 0, end);
}

/** Adds a batch's keys to the index. `sequence` is that of its last entry. */
export function remember(index: IdentityIndex, records: Uint8Array, sequence: number): void {
  const bytes = Buffer.from(records.buffer, records.byteOffset, records.byteLength);
  for (let start = 0; start < bytes.length; start += RECORD_BYTES) {
    const key = bytes.toString('latin1', start, start + KEY_BYTES);
    index.add(key, sequence - bytes.readUInt32LE(start + KEY_BYTES));
  }
}

/** Brings an index up to date with the file; `after` is the last sequence that it has seen. */
export function loadIdentities(db: DatabaseSync, index: IdentityIndex, after: number): void {
  const rows = db.prepare('SELECT sequence, keys FROM identities WHERE sequence > ? ORDER BY sequence');
  for (const { sequence, keys } of rows.iterate(after)) {
    if (keys instanceof Uint8Array) remember(index, keys, Number(sequence));
  }
}

/** The writer's side: rows are appended at one end and forgotten at the other, so that neither touches a random page. */
export class IdentityRows {
  readonly #insert: StatementSync;
  readonly #oldest: StatementSync;
  readonly #delete: StatementSync;
  readonly #total: StatementSync;
  #held: number;

  constructor(db: DatabaseSync) {
    this.#insert = db.prepare('INSERT INTO identities (sequence, time, keys) VALUES (?, ?, ?)');
    this.#oldest = db.prepare('SELECT sequence, time, length(keys) AS bytes FROM identities ORDER BY sequence LIMIT ?');
    this.#delete = db.prepare('DELETE FROM identities WHERE sequence <= ?');
    this.#total = db.prepare('SELECT sum(length(keys)) AS bytes FROM identities');
    this.#held = this.#count();
  }

  append(sequence: number, time: number, records: Uint8Array): void {
    if (records.length === 0) return;
    this.#insert.run(sequence, time, records);
    this.#held += records.length / RECORD_BYTES;
  }

  /** @returns the last sequence that was forgotten now; null: none. */
  forget({ seconds, count }: Horizon, now: number): number | null {
    let through: number | null = null;
    for (const { sequence, time, bytes } of this.#oldest.iterate(FORGOTTEN_ROWS_MAX)) {
      if (Number(time) >= now - seconds * 1000 && this.#held <= count) break;
      through = Number(sequence);
      this.#held -= Number(bytes) / RECORD_BYTES;
    }
    if (through !== null) this.#delete.run(through);
    return through;
  }

  /** After a rollback: counts what is there. */
  recount(): void {
    this.#held = this.#count();
  }

  #count(): number {
    return Number(this.#total.get()?.['bytes'] ?? 0) / RECORD_BYTES;
  }
}
