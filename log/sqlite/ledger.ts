import type { DatabaseSync } from 'node:sqlite';
import { Fault } from '../../events/fault.ts';
import { extend, type Link } from '../chain.ts';
import { IdentityIndex, keyOf } from '../identity-index.ts';
import type { Head, Identity, Ledger, Owner, StoredEntry } from '../port.ts';
import { bookkeepingDamage } from './bookkeeping.ts';
import { openReader } from './connection.ts';
import { sqliteFault } from './faults.ts';
import { type InlineProjectionModule, importProjections } from './inline-projections.ts';
import { type Horizon, loadIdentities, remember } from './identity-rows.ts';
import type { Durability, RebuildStep, WriterOptions } from './messages.ts';
import { SqliteOwner } from './owner.ts';
import { pageDamage } from './page-damage.ts';
import { Reader } from './reader.ts';
import { EMPTY, type LazyEntry } from './rows.ts';
import { trustedHead, verifyRows } from './snapshots.ts';
import { WriterThread } from './writer-thread.ts';

export type SqliteLedgerOptions = {
  readonly file: string;
  /** One process may open the file with `write`, any number of others with `read`. */
  readonly mode: 'write' | 'read';
  /** See `WriterOptions`. */
  readonly partition?: number;
  /** URLs of the modules of the inline projections (`InlineProjectionModule`); used in mode `write`. */
  readonly projections?: readonly string[];
  /** See `WriterOptions`. */
  readonly forRebuild?: boolean;
  /** Snapshots of another machine version are not trusted. */
  readonly machineVersion: string;
  readonly horizon?: Horizon;
  /** Verifies the chain from the last snapshot when opening. Default: true in mode `write`. */
  readonly verifyOnOpen?: boolean;
  readonly durability?: Durability;
  /** Topic prefix of an interrupted import: a file already marked as moved there can be opened to finish the import. */
  readonly movingTo?: string;
};

const DEFAULT_HORIZON: Horizon = { seconds: 7 * 86_400, count: 1_000_000 };

/** Problems of the bookkeeping that one check reports. */
const DAMAGE_MAX = 10;

/** The number of entries that the writer thread verifies ahead of a reader. */
const STRETCH_ENTRIES = 8192;

/** One partition of a ledger in an SQLite file. A writer thread writes the file; the caller's thread reads it. */
export class SqliteLedger implements Ledger {
  readonly partitions = 1;
  readonly path: string;
  readonly #options: WriterOptions;
  readonly #projections: readonly InlineProjectionModule[];
  readonly #db: DatabaseSync;
  readonly #reader: Reader;
  readonly #connections: DatabaseSync[] = [];
  readonly #identities = new IdentityIndex();
  /** The last sequence whose identities the index contains. */
  #rememberedThrough = 0;
  #writer: WriterThread | null;
  #owners = 0;

  private constructor(
    options: WriterOptions,
    db: DatabaseSync,
    writer: WriterThread | null,
    projections: readonly InlineProjectionModule[],
  ) {
    this.path = options.file;
    this.#options = options;
    this.#projections = projections;
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
      projections: [],
      horizon: DEFAULT_HORIZON,
      verifyOnOpen: options.mode === 'write',
      durability: 'full' as const,
      ...options,
    };
    let forget: (sequence: number) => void = () => {};
    const writer = options.mode === 'write' ? await WriterThread.start(settings, (sequence) => forget(sequence)) : null;
    try {
      const projections = writer === null ? [] : await importProjections(settings.projections);
      const ledger = SqliteLedger.#openReading(settings, writer, projections);
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
    projections: readonly InlineProjectionModule[],
  ): SqliteLedger {
    const db = openReader(options.file);
    try {
      // The writer thread has verified the chain already.
      if (options.verifyOnOpen && writer === null) verifyRows(db, trustedHead(db, options.machineVersion));
      return new SqliteLedger(options, db, writer, projections);
    } catch (error) {
      db.close();
      throw error;
    }
  }

  /** The partition of the topic if the file is a replica; 0 otherwise. */
  get partition(): number {
    return this.#reader.partition;
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
        partition,
        projections: this.#projections,
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

  /** Like `read`, without parsing the texts. */
  readUnparsed(partition: number, from: number): AsyncIterable<Link> {
    this.#requirePartition(partition);
    return this.#reader.unparsedFrom(from);
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

  /** Verifies the chain after `start` and the search columns of each row. @throws ChainFault */
  async verify(start: Head = EMPTY): Promise<Head> {
    let head = start;
    for await (const links of this.#reader.linksFrom(start.sequence + 1)) head = links.reduce(extend, head);
    return head;
  }

  /**
   * Yields every entry after verifying it. In mode `write` the writer thread verifies the next stretch meanwhile.
   * @throws ChainFault before it yields the stretch that contains the first bad entry.
   */
  async *readVerified(): AsyncGenerator<LazyEntry> {
    const last = this.#reader.head().sequence;
    let verified = this.#verifyNext(EMPTY, last);
    for (let from = 1; from <= last; ) {
      const head = await verified;
      verified = this.#verifyNext(head, last);
      // The next iteration reports the rejection; a reader that stops early ignores it.
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

  /**
   * Replaces the rows of the inline projections in one transaction of the writer: readers see the old rows until `work` has
   * resolved. `work` calls `apply` with the extracts of all entries in order.
   */
  async rebuildProjections<T>(work: (apply: (extract: unknown) => Promise<void>) => Promise<T>): Promise<T> {
    const writer = await this.#livingWriter();
    const send = async (step: RebuildStep) => void (await writer.rebuild(step));
    await send({ step: 'begin' });
    try {
      const result = await work((extract) => send({ step: 'apply', extract }));
      await send({ step: 'commit' });
      return result;
    } catch (error) {
      if (!writer.hasEnded) await send({ step: 'rollback' });
      throw error;
    }
  }

  /** Runs SQLite's integrity check over the whole file. @returns the problems found. */
  findDamage(): string[] {
    return pageDamage(this.#db);
  }

  /** Compares identities and snapshots with the entries, which must have been verified. @returns the problems found. */
  findBookkeepingDamage(): string[] {
    try {
      return bookkeepingDamage(this.#db).take(DAMAGE_MAX).toArray();
    } catch (error) {
      return [sqliteFault(error, this.path).message];
    }
  }

  /** Opens a read-only connection for the tables of the projections. Closing the ledger closes the connection. */
  readConnection(): DatabaseSync {
    const db = openReader(this.path);
    this.#connections.push(db);
    return db;
  }

  /** Marks the ledger as moved to Kafka: from now on it opens for writing only to finish this import. */
  async markMoved(to: string): Promise<void> {
    const writer = await this.#livingWriter();
    await writer.markMoved(to);
  }

  /** Sets the horizon for the next commits. */
  async setHorizon(horizon: Horizon): Promise<void> {
    await this.#writer?.setHorizon(horizon);
  }

  async close(): Promise<void> {
    // The writer closes last, because only the last connection can merge SQLite's log into the file.
    for (const db of [...this.#connections, this.#db]) if (db.isOpen) db.close();
    await this.#writer?.close();
  }

  /** Starts the writer thread again if it crashed; its lock was released with it. */
  async #livingWriter(): Promise<WriterThread> {
    if (this.#writer === null) {
      throw new Fault('LEDGER_READ_ONLY', `${this.path} was opened for reading`, 'Open it for writing.');
    }
    if (this.#writer.hasEnded) {
      this.#writer = await WriterThread.start(this.#options, (sequence) => this.#identities.forgetThrough(sequence));
    }
    return this.#writer;
  }

  /** Reads the digest from the entry, so that only repeated inputs cost a read. */
  #recall(identities: readonly Identity[]): (string | null)[] {
    return identities.map((identity) => {
      const sequence = this.#identities.find(keyOf(identity));
      const cause = sequence === undefined ? undefined : this.#reader.at(sequence)?.entry.cause;
      return cause === undefined || cause.kind === 'timer' ? null : cause.digest;
    });
  }

  #requirePartition(partition: number): void {
    if (partition === this.partition) return;
    throw new Fault(
      'NO_PARTITION',
      `there is no partition ${partition}`,
      `${this.path} holds partition ${this.partition}.`,
    );
  }
}
