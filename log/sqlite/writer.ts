import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { Fault } from '../../events/fault.ts';
import { link } from '../chain.ts';
import type { Head, Progress } from '../port.ts';
import { commitFault, plainFault, sqliteFault } from './faults.ts';
import type { InlineProjection, InlineProjectionModule } from './inline-projections.ts';
import { type Horizon, IdentityRows } from './identity-rows.ts';
import type { CommitRequest, RebuildStep, VerifyRequest, WriterAnswer, WriterReply } from './messages.ts';
import { markMoved } from './moved.ts';
import { type Columns, headOf, keyOrNull, timeOf } from './rows.ts';
import { lastSnapshot, SNAPSHOT_ENTRIES, takeSnapshot, verifyRows } from './snapshots.ts';

export type WriterSettings = {
  readonly file: string;
  readonly machineVersion: string;
  readonly horizon: Horizon;
  readonly projections: readonly InlineProjectionModule[];
  readonly partition: number;
  /** Leaves the projections unopened until a rebuild resets them. */
  readonly forRebuild?: boolean;
  /** False if the chain was not verified: a snapshot would declare it verified. */
  readonly mayTakeSnapshots: boolean;
};

/** Appends to the ledger file. The writer lock makes this the only connection that writes the file. */
export class Writer {
  readonly #db: DatabaseSync;
  readonly #settings: WriterSettings;
  readonly #insertEntry: StatementSync;
  readonly #setPosition: StatementSync;
  readonly #setCheckpoint: StatementSync;
  readonly #identities: IdentityRows;
  #projections: InlineProjection[];
  #horizon: Horizon;
  #head: Head;
  /** The time of the last entry in milliseconds. */
  #time: number;
  #snapshotSequence: number;
  #owner = 0;
  /** The fault that ended the newest owner; null while it can commit. */
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
    this.#projections = settings.forRebuild === true ? [] : this.#openProjections();
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

  /** Commits a transaction first, which settles an earlier commit whose outcome was unknown. */
  claim(id: number, owner: number): WriterAnswer {
    this.#owner = owner;
    this.#dead = null;
    try {
      this.#transact(() => {
        this.#db.exec(`INSERT INTO meta VALUES ('claims', 1) ON CONFLICT DO UPDATE SET value = value + 1`);
      });
      this.#head = headOf(this.#db);
      return { ...this.#done(id), progress: this.#progress() };
    } catch (error) {
      this.#dead = sqliteFault(error, this.#settings.file);
      return this.#refusal(id, this.#dead);
    }
  }

  /** Appends several batches in one transaction. */
  commit(requests: readonly CommitRequest[]): WriterReply {
    const refused = requests.map((request) => this.#refusalOf(request));
    const accepted = requests.filter((_, index) => refused[index] === null);
    const { heads, fault, forgottenThrough } = this.#append(accepted);
    const answers = requests.map(({ id }, index): WriterAnswer => {
      const refusal = refused[index] ?? fault;
      if (refusal !== null) return this.#refusal(id, refusal);
      return { ...this.#done(id), head: heads.shift() ?? this.#head };
    });
    return { answers, forgottenThrough };
  }

  /** Replaces the rows of the projections, in one transaction from `begin` to `commit`. */
  rebuild(id: number, step: RebuildStep): WriterAnswer {
    try {
      this.#rebuild(step);
      return this.#done(id);
    } catch (error) {
      this.#rollback();
      return this.#refusal(id, sqliteFault(error, this.#settings.file));
    }
  }

  #rebuild(request: RebuildStep): void {
    switch (request.step) {
      case 'begin':
        this.#db.exec('BEGIN IMMEDIATE');
        for (const module of this.#settings.projections) module.reset(this.#db);
        this.#projections = this.#openProjections();
        return;
      case 'apply':
        for (const projection of this.#projections) projection.apply(0, request.extract);
        return;
      case 'commit':
        for (const projection of this.#projections) projection.flush?.();
        this.#db.exec('COMMIT');
        return;
      case 'rollback':
        this.#rollback();
        return;
    }
  }

  /** Declares that the ledger was moved to Kafka: no later opening for writing succeeds. */
  markMoved(id: number, to: string): WriterAnswer {
    try {
      markMoved(this.#db, to);
      return this.#done(id);
    } catch (error) {
      return this.#refusal(id, sqliteFault(error, this.#settings.file));
    }
  }

  /** Verifies a part of the chain, and the search columns of each row. */
  verify({ id, after, through }: VerifyRequest): WriterAnswer {
    try {
      return { ...this.#done(id), head: verifyRows(this.#db, after, through) };
    } catch (error) {
      return this.#refusal(id, sqliteFault(error, this.#settings.file));
    }
  }

  /** Takes a snapshot and merges SQLite's log into the file. If this fails, only the next start takes longer. */
  close(): void {
    try {
      if (this.#settings.mayTakeSnapshots && this.#head.sequence > this.#snapshotSequence) {
        takeSnapshot(this.#db, this.#head, this.#settings.machineVersion, this.#time);
      }
      this.#db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    } catch {
      // Every commit is in the file or in SQLite's log already.
    } finally {
      this.#db.close();
    }
  }

  #refusalOf({ owner }: CommitRequest): Fault | null {
    if (owner === this.#owner) return this.#dead;
    return new Fault('LEDGER_FENCED', 'another owner has claimed the partition since', 'Claim the partition again.');
  }

  #done(id: number): WriterAnswer {
    return { id, head: this.#head, progress: null, fault: null };
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

  /** SQLite rolls back by itself after some errors. */
  #rollback(): void {
    if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
  }

  #appendBatch({ texts, columns, extracts, identities, inputPositions, checkpoints }: CommitRequest): Head {
    const before = this.#head.sequence;
    if (columns.length !== texts.length) throw new RangeError(`${texts.length} texts of ${columns.length} entries`);
    for (const [index, values] of columns.entries()) this.#appendEntry(texts[index] ?? '', values);
    for (const [index, projection] of this.#projections.entries()) projection.apply(before, extracts[index]);
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

  /** Runs once per transaction, before its COMMIT. @returns the last sequence whose identities were forgotten. */
  #finish(): number | null {
    for (const projection of this.#projections) projection.flush?.();
    const isDue = this.#head.sequence - this.#snapshotSequence >= SNAPSHOT_ENTRIES;
    if (isDue && this.#settings.mayTakeSnapshots) {
      takeSnapshot(this.#db, this.#head, this.#settings.machineVersion, this.#time);
      this.#snapshotSequence = this.#head.sequence;
    }
    return this.#identities.forget(this.#horizon, this.#time);
  }

  /** Reloads the state in memory from the file after a rollback; the next claim reloads the head. */
  #recover(): void {
    try {
      this.#identities.recount();
      this.#projections = this.#openProjections();
      this.#time = timeOf(this.#db);
      this.#snapshotSequence = lastSnapshot(this.#db);
    } catch {
      // The file cannot be read now; the next claim reports the fault.
    }
  }

  #openProjections(): InlineProjection[] {
    const { projections, partition } = this.#settings;
    return projections.map((module) => module.open(this.#db, partition));
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
