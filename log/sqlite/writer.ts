import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { Fault } from '../../events/fault.ts';
import { link } from '../chain.ts';
import type { Head, Progress } from '../port.ts';
import { commitFault, plainFault, sqliteFault } from './faults.ts';
import type { Follower, FollowerModule } from './followers.ts';
import { type Horizon, IdentityRows } from './identity-rows.ts';
import type { CommitRequest, VerifyRequest, WriterAnswer, WriterReply } from './messages.ts';
import { type Columns, headOf, keyOrNull, timeOf } from './rows.ts';
import { lastSnapshot, SNAPSHOT_ENTRIES, takeSnapshot, verifyRows } from './snapshots.ts';

export type WriterSettings = {
  readonly file: string;
  readonly machineVersion: string;
  readonly horizon: Horizon;
  readonly followers: readonly FollowerModule[];
  /** What was not verified is not vouched for by a snapshot. */
  readonly mayTakeSnapshots: boolean;
};

/** Appends to the ledger's file; knows nothing of threads. Nobody else writes the file while it lives. */
export class Writer {
  readonly #db: DatabaseSync;
  readonly #settings: WriterSettings;
  readonly #insertEntry: StatementSync;
  readonly #setPosition: StatementSync;
  readonly #setCheckpoint: StatementSync;
  readonly #identities: IdentityRows;
  #followers: Follower[];
  #horizon: Horizon;
  #head: Head;
  /** The last entry's. */
  #time: number;
  #snapshotSequence: number;
  #owner = 0;
  /** Why the newest owner can commit no more. */
  #dead: Fault | null = null;

  constructor(db: DatabaseSync, settings: WriterSettings) {
    this.#db = db;
    this.#settings = settings;
    this.#insertEntry = db.prepare(
      `INSERT INTO entries (sequence, previous, hash, vm, vm_key, migration, migration_key, time, clock, body)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#setPosition = db.prepare(
      'INSERT INTO input_positions (stream, offset) VALUES (?, ?) ON CONFLICT DO UPDATE SET offset = excluded.offset',
    );
    this.#setCheckpoint = db.prepare(
      'INSERT INTO checkpoints (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value',
    );
    this.#identities = new IdentityRows(db);
    this.#followers = settings.followers.map((module) => module.follow(db));
    this.#horizon = settings.horizon;
    this.#head = headOf(db);
    this.#time = timeOf(db);
    this.#snapshotSequence = lastSnapshot(db);
  }

  get head(): Head {
    return this.#head;
  }

  setHorizon(horizon: Horizon): void {
    this.#horizon = horizon;
  }

  /** A commit of its own comes first: it settles what an earlier one may have left half on disk. */
  claim(id: number, owner: number): WriterAnswer {
    this.#owner = owner;
    this.#dead = null;
    try {
      this.#transact(() => {
        this.#db.exec(`INSERT INTO meta VALUES ('claims', 1) ON CONFLICT DO UPDATE SET value = value + 1`);
      });
      this.#head = headOf(this.#db);
      return { id, head: this.#head, progress: this.#progress(), fault: null };
    } catch (error) {
      this.#dead = sqliteFault(error, this.#settings.file);
      return this.#refusal(id, this.#dead);
    }
  }

  /** Appends several batches in one transaction: all of them, or none. */
  commit(requests: readonly CommitRequest[]): WriterReply {
    const refused = requests.map((request) => this.#refusalOf(request));
    const accepted = requests.filter((_, index) => refused[index] === null);
    const { heads, fault, forgottenThrough } = this.#append(accepted);
    const answers = requests.map(({ id }, index): WriterAnswer => {
      const refusal = refused[index] ?? fault;
      if (refusal !== null) return this.#refusal(id, refusal);
      return { id, head: heads.shift() ?? this.#head, progress: null, fault: null };
    });
    return { answers, forgottenThrough };
  }

  /** A part of the chain, and each row's columns. */
  verify({ id, after, through }: VerifyRequest): WriterAnswer {
    try {
      return { id, head: verifyRows(this.#db, after, through), progress: null, fault: null };
    } catch (error) {
      return this.#refusal(id, sqliteFault(error, this.#settings.file));
    }
  }

  /** Leaves one tidy file behind, and a snapshot of its end. Where that fails, the next start has more to read: no more. */
  close(): void {
    try {
      if (this.#settings.mayTakeSnapshots && this.#head.sequence > this.#snapshotSequence) {
        takeSnapshot(this.#db, this.#head, this.#settings.machineVersion, this.#time);
      }
      this.#db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    } catch {
      // Every commit is in the file or its log already.
    } finally {
      this.#db.close();
    }
  }

  #refusalOf({ owner }: CommitRequest): Fault | null {
    if (owner === this.#owner) return this.#dead;
    return new Fault('LEDGER_FENCED', 'another owner has claimed the partition since', 'Claim it anew.');
  }

  #refusal(id: number, fault: Fault): WriterAnswer {
    return { id, head: this.#head, progress: null, fault: plainFault(fault) };
  }

  #append(requests: readonly CommitRequest[]): { heads: Head[]; fault: Fault | null; forgottenThrough: number | null } {
    if (requests.length === 0) return { heads: [], fault: null, forgottenThrough: null };
    const before = this.#head;
    try {
      const heads: Head[] = [];
      const forgottenThrough = this.#transact(() => {
        for (const request of requests) heads.push(this.#appendBatch(request));
        return this.#finish();
      });
      return { heads, fault: null, forgottenThrough };
    } catch (error) {
      this.#head = before;
      this.#recover();
      this.#dead = sqliteFault(error, this.#settings.file);
      return { heads: [], fault: this.#dead, forgottenThrough: null };
    }
  }

  #transact<T>(work: () => T): T {
    this.#db.exec('BEGIN IMMEDIATE');
    let result: T;
    try {
      result = work();
    } catch (error) {
      this.#rollback();
      throw error;
    }
    try {
      this.#db.exec('COMMIT');
    } catch (error) {
      this.#rollback();
      throw commitFault(error, this.#settings.file);
    }
    return result;
  }

  /** SQLite has rolled back by itself after some errors. */
  #rollback(): void {
    if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
  }

  #appendBatch({ texts, columns, extracts, identities, inputPositions, checkpoints }: CommitRequest): Head {
    const before = this.#head.sequence;
    if (columns.length !== texts.length) throw new RangeError(`${texts.length} texts of ${columns.length} entries`);
    for (const [index, values] of columns.entries()) this.#appendEntry(texts[index] ?? '', values);
    for (const [index, follower] of this.#followers.entries()) follower.apply(before, extracts[index]);
    this.#identities.append(this.#head.sequence, this.#time, identities);
    for (const { stream, offset } of inputPositions) this.#setPosition.run(stream, offset);
    for (const { key, value } of checkpoints) this.#setCheckpoint.run(key, value);
    return this.#head;
  }

  #appendEntry(text: string, [time, clock, vm, migration]: Columns): void {
    const sequence = this.#head.sequence + 1;
    const previous = Buffer.from(this.#head.hash, 'hex');
    const hash = link(this.#head.hash, text);
    const [vmKey, migrationKey, bytes] = [keyOrNull(vm), keyOrNull(migration), Buffer.from(hash, 'hex')];
    this.#insertEntry.run(sequence, previous, bytes, vm, vmKey, migration, migrationKey, time, clock, text);
    this.#head = { sequence, hash };
    this.#time = time;
  }

  /** What is done once per transaction. */
  #finish(): number | null {
    for (const follower of this.#followers) follower.flush?.();
    const isDue = this.#head.sequence - this.#snapshotSequence >= SNAPSHOT_ENTRIES;
    if (isDue && this.#settings.mayTakeSnapshots) {
      takeSnapshot(this.#db, this.#head, this.#settings.machineVersion, this.#time);
      this.#snapshotSequence = this.#head.sequence;
    }
    return this.#identities.forget(this.#horizon, this.#time);
  }

  /** Nothing in memory may outlive what the file forgot. The next claim reads the head anew. */
  #recover(): void {
    try {
      this.#identities.recount();
      this.#followers = this.#settings.followers.map((module) => module.follow(this.#db));
      this.#time = timeOf(this.#db);
      this.#snapshotSequence = lastSnapshot(this.#db);
    } catch {
      // The file cannot even be read: the owner is dead, and the next claim says why.
    }
  }

  #progress(): Progress {
    const numbers = (sql: string) =>
      new Map(
        this.#db
          .prepare(sql)
          .all()
          .map(({ name, number }) => [String(name), Number(number)]),
      );
    return {
      inputPositions: numbers('SELECT stream AS name, offset AS number FROM input_positions'),
      checkpoints: numbers('SELECT key AS name, value AS number FROM checkpoints'),
    };
  }
}
