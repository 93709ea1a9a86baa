import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { Entry } from '../../events/entries.ts';
import { identityOf } from '../entry-text.ts';
import { type IdentityIndex, KEY_BYTES, keyOf } from '../identity-index.ts';

/** The limits for remembering consumed identities; the limit that is reached first applies. */
export type Horizon = { readonly seconds: number; readonly count: number };

/** A record is a key and its distance in entries from the last entry of the batch. */
const RECORD_BYTES = KEY_BYTES + 4;
/** The largest number of rows removed per commit, so that a shorter horizon does not delay a commit. */
const FORGOTTEN_ROWS_MAX = 64;

/** Returns the keys of the inputs that a batch consumes, in the stored form. */
export function recordsOf(entries: readonly Entry[]): Uint8Array {
  // A pooled buffer would send its whole pool with the message.
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

/** Adds the keys of a batch to the index. `sequence` belongs to the last entry of the batch. */
export function remember(index: IdentityIndex, records: Uint8Array, sequence: number): void {
  const bytes = Buffer.from(records.buffer, records.byteOffset, records.byteLength);
  for (let start = 0; start < bytes.length; start += RECORD_BYTES) {
    const key = bytes.toString('latin1', start, start + KEY_BYTES);
    index.add(key, sequence - bytes.readUInt32LE(start + KEY_BYTES));
  }
}

/** Adds the identities in the file after the sequence `after` to the index. */
export function loadIdentities(db: DatabaseSync, index: IdentityIndex, after: number): void {
  const rows = db.prepare('SELECT sequence, keys FROM identities WHERE sequence > ? ORDER BY sequence');
  for (const { sequence, keys } of rows.iterate(after)) {
    if (keys instanceof Uint8Array) remember(index, keys, Number(sequence));
  }
}

/** The identities table of the writer. Rows are appended at one end and removed at the other, so no random page is written. */
export class IdentityRows {
  readonly #insert: StatementSync;
  readonly #oldest: StatementSync;
  readonly #delete: StatementSync;
  readonly #total: StatementSync;
  #count: number;

  constructor(db: DatabaseSync) {
    this.#insert = db.prepare('INSERT INTO identities (sequence, time, keys) VALUES (?, ?, ?)');
    this.#oldest = db.prepare('SELECT sequence, time, length(keys) AS bytes FROM identities ORDER BY sequence LIMIT ?');
    this.#delete = db.prepare('DELETE FROM identities WHERE sequence <= ?');
    this.#total = db.prepare('SELECT sum(length(keys)) AS bytes FROM identities');
    this.#count = this.#countRecords();
  }

  append(sequence: number, time: number, records: Uint8Array): void {
    if (records.length === 0) return;
    this.#insert.run(sequence, time, records);
    this.#count += records.length / RECORD_BYTES;
  }

  /** Removes rows beyond the horizon. @returns the last removed sequence; null if no row was removed. */
  forget({ seconds, count }: Horizon, now: number): number | null {
    let through: number | null = null;
    for (const { sequence, time, bytes } of this.#oldest.iterate(FORGOTTEN_ROWS_MAX)) {
      if (Number(time) >= now - seconds * 1000 && this.#count <= count) break;
      through = Number(sequence);
      this.#count -= Number(bytes) / RECORD_BYTES;
    }
    if (through !== null) this.#delete.run(through);
    return through;
  }

  /** Counts the records in the file again, after a rollback. */
  recount(): void {
    this.#count = this.#countRecords();
  }

  #countRecords(): number {
    return Number(this.#total.get()?.['bytes'] ?? 0) / RECORD_BYTES;
  }
}
