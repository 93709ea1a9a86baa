import { setTimeout as wait } from 'node:timers/promises';
import { Fault } from '../../events/fault.ts';
import { ChainFault, link } from '../chain.ts';
import type { Checkpoint, Head, StoredEntry } from '../port.ts';
import type { SqliteLedger } from '../sqlite/ledger.ts';
import { administer, connectTo } from '../../kafka/client.ts';
import type { Replica } from './replica.ts';
import type { KafkaLedger } from './ledger.ts';
import { type BrokerOptions, topicsOf } from '../../kafka/options.ts';
import type { NewRecord } from '../../kafka/port.ts';
import { partitionOf } from '../../kafka/partitioner.ts';
import { claimRecord, entryRecords, progressRecord } from './records.ts';
import { Transactor } from '../../kafka/transactor.ts';

/**
 * Moves an embedded ledger into empty topics. An entry goes to the partition of its VM, an entry about the site to all partitions.
 * Texts stay identical, each partition gets a hash chain of its own, and the header `origin` of a record names its sequence in the
 * source.
 *
 * A checkpoint with the source's head marks the beginning of the import in each partition, and a second checkpoint marks its end.
 * Between the two checkpoints no instance owns the partition, and a repeated import continues it. The end also marks all commands
 * and dead letters as sent, because the source has sent them.
 */

export type Import = {
  readonly access: BrokerOptions & { readonly prefix: string };
  /** The ledger in the target topics; its replicas are complete. */
  readonly ledger: KafkaLedger;
  readonly source: SqliteLedger;
};

type Imported = Pick<StoredEntry, 'sequence' | 'text' | 'entry'>;

/** The checkpoint key of the last sequence whose commands and dead letters were sent. */
export const RELAYED = 'relayed';

/** Checkpoint keys of an import; the hash of the source's head follows. */
const BEGUN = 'import ';
const DONE = 'imported ';
const COMMIT_BYTES = 2 * 1024 * 1024;
const LOOK_MS = 50;
const SETTLE_MS = 120_000;

/** Returns whether an import of the partition has begun and not ended. */
export function isBeingImported(checkpoints: ReadonlyMap<string, number>): boolean {
  const begun = [...checkpoints.keys()].find((key) => key.startsWith(BEGUN));
  return begun !== undefined && !checkpoints.has(DONE + begun.slice(BEGUN.length));
}

/**
 * @returns the number of entries read, and the number written by this run.
 * @throws Fault IMPORT_REFUSED, IMPORT_INTERRUPTED, LEDGER_ALTERED, KAFKA_….
 */
export async function importLedger({ access, ledger, source }: Import): Promise<{ read: number; written: number }> {
  const head = await source.head(0);
  await requireNoInstances(ledger);
  const unfinished = requireImportable(ledger, head);
  const targets: Target[] = [];
  try {
    for (const partition of unfinished) targets.push(await Target.open(access, ledger, partition, head));
    // Records written before the claims are in the replicas now, so this second check sees them.
    requireImportable(ledger, head);
    for (const target of targets) await target.begin();
    const read = await copyAll(source, ledger.partitions, targets);
    await settled(ledger, targets);
    await compare(source, ledger, targets);
    // The source must be closed to writes before an instance can own the partitions.
    await source.markMoved(access.prefix);
    for (const target of targets) await target.conclude();
    return { read, written: targets.reduce((sum, { written }) => sum + written, 0) };
  } catch (error) {
    throw error instanceof Fault && error.code === 'LEDGER_FENCED' ? interrupted(error) : error;
  } finally {
    await Promise.all(targets.map((target) => target.close()));
  }
}

async function copyAll(source: SqliteLedger, partitions: number, targets: readonly Target[]): Promise<number> {
  let read = 0;
  for await (const stored of source.readVerified()) {
    read += 1;
    const wanted = targetPartitions(stored, partitions);
    for (const target of targets) if (wanted.has(target.partition)) await target.take(stored);
  }
  for (const target of targets) await target.flush();
  return read;
}

/** Returns the partitions of an entry: all for the site, one for a VM, and partition 0 for a malformed input. */
function targetPartitions({ entry: { vm, cause } }: Imported, partitions: number): ReadonlySet<number> {
  if (vm !== null) return new Set([partitionOf(vm, partitions)]);
  return new Set(cause.kind === 'malformed' ? [0] : Array.from({ length: partitions }, (_, partition) => partition));
}

/** Requires that no instance runs, because instances would claim the partitions during the import. */
async function requireNoInstances({ kafka, group }: KafkaLedger): Promise<void> {
  const members = await administer(kafka, (admin) => admin.groupClients(group));
  if (members.length === 0) return;
  const clients = [...new Set(members)].join(', ');
  const remedy =
    'Stop all instances, and run the import again; one that was killed counts until kafkaSessionSeconds have passed.';
  throw new Fault('IMPORT_REFUSED', `instances are running on these topics: ${clients}`, remedy);
}

/**
 * Requires that every partition is empty or holds an import of this ledger.
 * @returns the partitions whose import has not ended.
 */
function requireImportable(ledger: KafkaLedger, source: Head): number[] {
  const partitions = Array.from({ length: ledger.partitions }, (_, partition) => partition);
  const other = partitions.find((partition) => importStateOf(ledger.replica(partition), source) === 'other');
  if (other !== undefined) throw notImportable(`partition ${other} is not empty`);
  const unfinished = partitions.filter(
    (partition) => importStateOf(ledger.replica(partition), source) === 'unfinished',
  );
  if (unfinished.length === 0) throw notImportable('every partition holds this ledger already');
  return unfinished;
}

function importStateOf(
  { inputPositions, checkpoints, head, fault }: Replica,
  source: Head,
): 'done' | 'unfinished' | 'other' {
  if (fault !== null) throw fault;
  if (checkpoints.has(DONE + source.hash)) return 'done';
  const isEmpty = head.sequence === 0 && inputPositions.size === 0 && checkpoints.size === 0;
  return isEmpty || checkpoints.has(BEGUN + source.hash) ? 'unfinished' : 'other';
}

function notImportable(what: string): Fault {
  const remedy = 'Import into empty topics: create them with `landfall kafka init` under another --kafka-prefix.';
  return new Fault('IMPORT_REFUSED', what, remedy);
}

function interrupted(cause: unknown): Fault {
  return new Fault(
    'IMPORT_INTERRUPTED',
    'an instance or another import has claimed a partition',
    'Stop all instances and other imports, and run this import again; it continues where it stopped.',
    cause,
  );
}

/** The import into one partition. */
class Target {
  readonly partition: number;
  written = 0;
  readonly #transactor: Transactor;
  readonly #source: Head;
  readonly #isBegun: boolean;
  /** The number of entries that an earlier run wrote. */
  #skip: number;
  #head: Head;
  #pending: NewRecord[] = [];
  #bytes = 0;

  private constructor(replica: Replica, transactor: Transactor, source: Head) {
    this.partition = replica.partition;
    this.#transactor = transactor;
    this.#skip = replica.head.sequence;
    this.#head = replica.head;
    this.#source = source;
    this.#isBegun = replica.checkpoints.has(BEGUN + source.hash);
  }

  /** Claims the partition as an owner does: the replica holds every record before the claim, and no other owner can write. */
  static async open(access: Import['access'], ledger: KafkaLedger, partition: number, source: Head): Promise<Target> {
    const { prefix, clientId } = access;
    const replica = ledger.replica(partition);
    const claim = () => claimRecord(crypto.randomUUID(), clientId);
    const target = { topic: topicsOf(prefix).ledger, partition };
    const transactor = await Transactor.open(connectTo(access), `${prefix}.${partition}`, target, claim());
    try {
      // A second claim has a known offset, up to which the replica must have read.
      await readThrough(replica, await transactor.commit([claim()], null));
      return new Target(replica, transactor, source);
    } catch (error) {
      await transactor.close();
      throw error;
    }
  }

  get head(): Head {
    return this.#head;
  }

  async begin(): Promise<void> {
    if (!this.#isBegun) await this.#note([this.#mark(BEGUN)]);
  }

  async take({ sequence: origin, text, entry }: Imported): Promise<void> {
    if (this.#skip > 0) {
      this.#skip -= 1;
      return;
    }
    const previous = this.#head.hash;
    this.#head = { sequence: this.#head.sequence + 1, hash: link(previous, text) };
    const links = [{ partition: this.partition, ...this.#head, previous, text }];
    const [record] = entryRecords(links, [entry], { inputPositions: [], checkpoints: [] });
    if (record !== undefined) this.#pending.push({ ...record, headers: { ...record.headers, origin: String(origin) } });
    this.#bytes += text.length;
    this.written += 1;
    if (this.#bytes >= COMMIT_BYTES) await this.flush();
  }

  async flush(): Promise<void> {
    if (this.#pending.length === 0) return;
    await this.#transactor.commit(this.#pending, null);
    this.#pending = [];
    this.#bytes = 0;
  }

  /** Marks the import as ended, so that an instance may own the partition. Open attempts send their pending commands again. */
  async conclude(): Promise<void> {
    await this.#note([this.#mark(DONE), { key: RELAYED, value: this.#head.sequence }]);
  }

  close(): Promise<void> {
    return this.#transactor.close();
  }

  async #note(checkpoints: readonly Checkpoint[]): Promise<void> {
    await this.#transactor.commit([progressRecord({ inputPositions: [], checkpoints })], null);
  }

  #mark(kind: string): Checkpoint {
    return { key: kind + this.#source.hash, value: this.#source.sequence };
  }
}

async function readThrough(replica: Replica, offset: number | null): Promise<void> {
  if (offset === null)
    throw new Fault('LEDGER_FAILED', 'the brokers did not report the offset of a record', 'Run the import again.');
  await until(replica, () => (replica.offset ?? -1) >= offset);
}

async function settled(ledger: KafkaLedger, targets: readonly Target[]): Promise<void> {
  for (const { partition, head } of targets) {
    const replica = ledger.replica(partition);
    await until(replica, () => replica.readableSequence >= head.sequence);
  }
}

async function until(replica: Replica, isSo: () => boolean): Promise<void> {
  for (const deadline = Date.now() + SETTLE_MS; !isSo(); await wait(LOOK_MS)) {
    if (replica.fault !== null) throw replica.fault;
    if (Date.now() <= deadline) continue;
    throw new Fault('LEDGER_FAILED', 'the imported records could not be read back in time', 'Run the import again.');
  }
}

/**
 * Requires that the topics hold the entries of the source, in order. A partition that an earlier run finished may hold further
 * entries of an instance.
 */
async function compare(source: SqliteLedger, ledger: KafkaLedger, targets: readonly Target[]): Promise<void> {
  const readers = Array.from({ length: ledger.partitions }, (_, partition) =>
    ledger.read(partition, 1)[Symbol.asyncIterator](),
  );
  for await (const stored of source.read(0, 1)) {
    for (const place of targetPartitions(stored, readers.length)) {
      const next = await readers[place]?.next();
      if (next?.done === false && next.value.text === stored.text) continue;
      throw new ChainFault(stored, 'altered', 'the topics do not hold this entry in its place');
    }
  }
  for (const { partition, head } of targets) {
    if ((await readers[partition]?.next())?.done === true) continue;
    throw new ChainFault(
      { partition, sequence: head.sequence },
      'altered',
      'the imported file does not hold this entry',
    );
  }
}
