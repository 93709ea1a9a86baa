import type { DatabaseSync } from 'node:sqlite';
import { Fault } from '../../events/fault.ts';
import { extend } from '../chain.ts';
import { IdentityIndex, keyOf } from '../identity-index.ts';
import type { Head, Identity, Ledger, Owner, StoredEntry } from '../port.ts';
import { bookkeepingDamage } from './bookkeeping.ts';
import { openReader } from './connection.ts';
import { sqliteFault } from './faults.ts';
import { type FollowerModule, importFollowers } from './followers.ts';
import { type Horizon, loadIdentities, remember } from './identity-rows.ts';
import type { Durability, WriterOptions } from './messages.ts';
import { markMoved } from './moved.ts';
import { SqliteOwner } from './owner.ts';
import { Reader } from './reader.ts';
import { EMPTY, PARTITION, type Unread } from './rows.ts';
import { trustedHead, verifyRows } from './snapshots.ts';
import { WriterThread } from './writer-thread.ts';

export type SqliteLedgerOptions = {
  readonly file: string;
  /** `read`: any number of processes may, beside the one that writes. */
  readonly mode: 'write' | 'read';
  /** URLs of modules like `FollowerModule`; used where the ledger is written. */
  readonly followers?: readonly string[];
  /** A snapshot of another version of the machine is not trusted. */
  readonly machineVersion: string;
  readonly horizon?: Horizon;
  /** Whether the chain is verified from the last snapshot on before anything else. By default where the ledger is written. */
  readonly verifyOnOpen?: boolean;
  readonly durability?: Durability;
  /** Opened to finish its being moved there: it may have been marked as moved already. */
  readonly movingTo?: string;
};

const DEFAULT_HORIZON: Horizon = { seconds: 7 * 86_400, count: 1_000_000 };

/** Entries that are verified ahead of a reader. */
const STRETCH_ENTRIES = 8192;

/** The embedded ledger: one SQLite file, one partition. A thread of its own writes; the caller's thread reads. */
export class SqliteLedger implements Ledger {
  readonly partitions = 1;
  readonly path: string;
  readonly #options: WriterOptions;
  readonly #followers: readonly FollowerModule[];
  readonly #db: DatabaseSync;
  readonly #reader: Reader;
  readonly #connections: DatabaseSync[] = [];
  readonly #identities = new IdentityIndex();
  /** The last sequence whose identities are in the index. */
  #rememberedThrough = 0;
  #writer: WriterThread | null;
  #owners = 0;

  private constructor(
    options: WriterOptions,
    db: DatabaseSync,
    writer: WriterThread | null,
    followers: readonly FollowerModule[],
  ) {
    this.path = options.file;
    this.#options = options;
    this.#followers = followers;
    this.#db = db;
    this.#reader = new Reader(db, options.file);
    this.#writer = writer;
  }

  /**
   * @throws Fault LEDGER_NOT_A_LEDGER, LEDGER_NEWER, LEDGER_OLDER, LEDGER_READ_ONLY, LEDGER_BUSY, LEDGER_MISSING, LEDGER_MOVED,
   * LEDGER_ALTERED, LEDGER_DAMAGED, LEDGER_FULL, LEDGER_FAILED.
   */
  static async open(options: SqliteLedgerOptions): Promise<SqliteLedger> {
    const settings = {
      followers: [],
      horizon: DEFAULT_HORIZON,
      verifyOnOpen: options.mode === 'write',
      durability: 'full' as const,
      ...options,
    };
    let forget: (sequence: number) => void = () => {};
    const writer = options.mode === 'write' ? await WriterThread.start(settings, (sequence) => forget(sequence)) : null;
    try {
      const followers = writer === null ? [] : await importFollowers(settings.followers);
      const ledger = SqliteLedger.#openReading(settings, writer, followers);
      forget = (sequence) => ledger.#identities.forgetThrough(sequence);
      return ledger;
    } catch (error) {
      await writer?.close();
      throw sqliteFault(error, options.file);
    }
  }

  static #openReading(
    options: WriterOptions,
    writer: WriterThread | null,
    followers: readonly FollowerModule[],
  ): SqliteLedger {
    const db = openReader(options.file);
    try {
      // A writer has done this already.
      if (options.verifyOnOpen && writer === null) verifyRows(db, trustedHead(db, options.machineVersion));
      return new SqliteLedger(options, db, writer, followers);
    } catch (error) {
      db.close();
      throw error;
    }
  }

  async claim(partition: number): Promise<Owner> {
    this.#requirePartition(partition);
    const writer = await this.#livingWriter();
    this.#owners += 1;
    const number = this.#owners;
    const claimed = await writer.claim(number);
    loadIdentities(this.#db, this.#identities, this.#rememberedThrough);
    this.#rememberedThrough = Math.max(this.#rememberedThrough, claimed.head.sequence);
    return new SqliteOwner(
      {
        writer,
        number,
        followers: this.#followers,
        recall: (identities) => this.#recall(identities),
        remember: (records, sequence) => {
          remember(this.#identities, records, sequence);
          this.#rememberedThrough = Math.max(this.#rememberedThrough, sequence);
        },
      },
      claimed,
    );
  }

  async head(partition: number): Promise<Head> {
    this.#requirePartition(partition);
    return this.#reader.head();
  }

  read(partition: number, from: number): AsyncIterable<StoredEntry> {
    this.#requirePartition(partition);
    return this.#reader.from(from);
  }

  readVm(vm: string, from = 1): AsyncIterable<StoredEntry> {
    return this.#reader.named('vm', vm, from);
  }

  readMigration(migration: string, from = 1): AsyncIterable<StoredEntry> {
    return this.#reader.named('migration', migration, from);
  }

  entryAt(sequence: number): StoredEntry | null {
    return this.#reader.at(sequence);
  }

  /** Verifies the whole chain, or what follows `start`, and each row's columns. @throws ChainFault */
  async verify(start: Head = EMPTY): Promise<Head> {
    let head = start;
    for await (const links of this.#reader.linksFrom(start.sequence + 1)) head = links.reduce(extend, head);
    return head;
  }

  /**
   * Every entry, verified like that: by the thread that writes, where there is one, which is a stretch ahead.
   * @throws ChainFault before the stretch with the first bad one.
   */
  async *readVerified(): AsyncGenerator<Unread> {
    const last = this.#reader.head().sequence;
    let verified = this.#verifyNext(EMPTY, last);
    for (let from = 1; from <= last; ) {
      const head = await verified;
      verified = this.#verifyNext(head, last);
      // Whoever reads on meets it; who stops reading need not.
      verified.catch(() => {});
      for await (const page of this.#reader.textsFrom(from, head.sequence)) yield* page;
      from = head.sequence + 1;
    }
  }

  async #verifyNext(head: Head, last: number): Promise<Head> {
    const through = Math.min(head.sequence + STRETCH_ENTRIES, last);
    if (this.#writer === null) return verifyRows(this.#db, head, through);
    return (await this.#writer.verify(head, through)).head;
  }

  /** What SQLite finds wrong with the file's own structure, indexes included: empty where nothing is. Reads all of it. */
  findDamage(): string[] {
    const rows = this.#db.prepare('PRAGMA integrity_check(10)').all();
    return rows.map((row) => String(row['integrity_check'])).filter((line) => line !== 'ok');
  }

  /** What of the tables beside the entries does not follow from them. To be asked where the entries are whole. */
  findBookkeepingDamage(): string[] {
    return [...bookkeepingDamage(this.#db)];
  }

  /** A read-only connection for tables that followers keep. It is closed with the ledger. */
  readConnection(): DatabaseSync {
    const db = openReader(this.path);
    this.#connections.push(db);
    return db;
  }

  /** From its next opening on nobody writes the file any more, but for who finishes the moving. */
  markMoved(to: string): void {
    markMoved(this.path, to);
  }

  /** From the next commits on. */
  async setHorizon(horizon: Horizon): Promise<void> {
    await this.#writer?.setHorizon(horizon);
  }

  async close(): Promise<void> {
    // The writer comes last: only a connection that may write can tidy the file up.
    for (const db of [...this.#connections, this.#db]) if (db.isOpen) db.close();
    await this.#writer?.close();
  }

  /** A thread that ended by accident is started anew: its lock went with it. */
  async #livingWriter(): Promise<WriterThread> {
    if (this.#writer === null) {
      throw new Fault('LEDGER_READ_ONLY', `${this.path} was opened for reading`, 'Open it for writing.');
    }
    if (this.#writer.hasEnded) {
      this.#writer = await WriterThread.start(this.#options, (sequence) => this.#identities.forgetThrough(sequence));
    }
    return this.#writer;
  }

  /** Looks into the entry itself for the digest: only inputs that come again cost that. */
  #recall(identities: readonly Identity[]): (string | null)[] {
    return identities.map((identity) => {
      const sequence = this.#identities.find(keyOf(identity));
      const cause = sequence === undefined ? undefined : this.#reader.at(sequence)?.entry.cause;
      return cause === undefined || cause.kind === 'timer' ? null : cause.digest;
    });
  }

  #requirePartition(partition: number): void {
    if (partition === PARTITION) return;
    throw new Fault(
      'NO_PARTITION',
      `there is no partition ${partition}`,
      `An embedded ledger has partition ${PARTITION}.`,
    );
  }
}
