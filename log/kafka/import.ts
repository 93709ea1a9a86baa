import type { Message } from 'kafkajs';
import { setTimeout as wait } from 'node:timers/promises';
import { Fault } from '../../events/fault.ts';
import type { BrokerOptions } from './options.ts';
import { ChainFault, link } from '../chain.ts';
import type { Head, StoredEntry } from '../port.ts';
import type { SqliteLedger } from '../sqlite/ledger.ts';
import { connectTo } from './client.ts';
import type { KafkaLedger } from './ledger.ts';
import { topicsOf } from './options.ts';
import { partitionOf } from './partitioner.ts';
import { claimMessage, entryMessages, positionsMessage } from './records.ts';
import { Transactor } from './transactor.ts';

/**
 * Moves an embedded ledger into topics that are empty: every entry to the partition of its VM, what concerns the site to all of
 * them, texts to the letter, each partition chained anew. Each record names its sequence in the source (header `origin`).
 *
 * The first record of every partition names the source's head, the last one says that all is there: between them the partition
 * is nobody's to own, and the import can be run again, which goes on where it ended.
 */

export type Import = {
  readonly access: BrokerOptions & { readonly prefix: string };
  /** The topics, and copies of them that have all that is there so far. */
  readonly ledger: KafkaLedger;
  readonly source: SqliteLedger;
};

type Imported = Pick<StoredEntry, 'sequence' | 'text' | 'entry'>;

const BEGUN = '\u0000import ';
const DONE = '\u0000imported ';
const COMMIT_BYTES = 2 * 1024 * 1024;
const LOOK_MS = 50;
const SETTLE_MS = 120_000;

/** Whether a partition with these positions is in the middle of an import. */
export function isBeingImported(positions: ReadonlyMap<string, number>): boolean {
  const begun = [...positions.keys()].find((stream) => stream.startsWith(BEGUN));
  return begun !== undefined && !positions.has(DONE + begun.slice(BEGUN.length));
}

/** @returns how many entries were read, and written in this run. @throws Fault IMPORT_REFUSED, LEDGER_ALTERED, KAFKA_…. */
export async function importLedger({ access, ledger, source }: Import): Promise<{ read: number; written: number }> {
  const head = await source.head(0);
  requireRoom(ledger, head);
  const targets = await Promise.all(
    Array.from({ length: ledger.partitions }, (_, partition) => Target.open(access, ledger, partition, head)),
  );
  try {
    let read = 0;
    for await (const stored of source.readVerified()) {
      read += 1;
      for (const target of targetsOf(stored, targets)) await target.take(stored);
    }
    for (const target of targets) await target.conclude();
    await settled(ledger, targets);
    await compare(source, ledger);
    return { read, written: targets.reduce((sum, { written }) => sum + written, 0) };
  } finally {
    await Promise.all(targets.map((target) => target.close()));
  }
}

function targetsOf<T>({ entry: { vm } }: Imported, targets: readonly T[]): readonly T[] {
  if (vm === null) return targets;
  const target = targets[partitionOf(vm, targets.length)];
  return target === undefined ? [] : [target];
}

/** Either nothing is there, or an unfinished import of this very ledger. */
function requireRoom(ledger: KafkaLedger, head: Head): void {
  for (let partition = 0; partition < ledger.partitions; partition += 1) {
    const { positions, head: there } = ledger.copy(partition);
    const isOurs = positions.has(BEGUN + head.hash) && !positions.has(DONE + head.hash);
    if (isOurs || (there.sequence === 0 && positions.size === 0)) continue;
    const what = positions.has(DONE + head.hash) ? 'holds this ledger already' : 'is not empty';
    const remedy =
      'Import into topics of their own: choose another --kafka-prefix and make them with `landfall kafka init`.';
    throw new Fault('IMPORT_REFUSED', `partition ${partition} ${what}`, remedy);
  }
}

class Target {
  readonly partition: number;
  written = 0;
  readonly #transactor: Transactor;
  readonly #source: Head;
  /** Entries that an earlier run wrote. */
  #skip: number;
  #head: Head;
  #pending: Message[] = [];
  #bytes = 0;

  private constructor(partition: number, transactor: Transactor, there: Head, source: Head) {
    this.partition = partition;
    this.#transactor = transactor;
    this.#skip = there.sequence;
    this.#head = there;
    this.#source = source;
  }

  static async open(access: Import['access'], ledger: KafkaLedger, partition: number, source: Head): Promise<Target> {
    const { prefix, clientId } = access;
    const claim = claimMessage(partition, crypto.randomUUID(), clientId);
    const topic = topicsOf(prefix).ledger;
    const transactor = await Transactor.open(connectTo(access), `${prefix}.${partition}`, topic, claim);
    const copy = ledger.copy(partition);
    const target = new Target(partition, transactor, copy.head, source);
    if (!copy.positions.has(BEGUN + source.hash)) await target.#mark(BEGUN);
    return target;
  }

  get head(): Head {
    return this.#head;
  }

  async take({ sequence: origin, text, entry }: Imported): Promise<void> {
    if (this.#skip > 0) {
      this.#skip -= 1;
      return;
    }
    const previous = this.#head.hash;
    this.#head = { sequence: this.#head.sequence + 1, hash: link(previous, text) };
    const links = [{ partition: this.partition, ...this.#head, previous, text }];
    const [message] = entryMessages(this.partition, links, [entry], []);
    if (message !== undefined)
      this.#pending.push({ ...message, headers: { ...message.headers, origin: String(origin) } });
    this.#bytes += text.length;
    this.written += 1;
    if (this.#bytes >= COMMIT_BYTES) await this.#flush();
  }

  async conclude(): Promise<void> {
    await this.#flush();
    await this.#mark(DONE);
  }

  close(): Promise<void> {
    return this.#transactor.close();
  }

  async #flush(): Promise<void> {
    if (this.#pending.length === 0) return;
    await this.#transactor.commit(this.#pending, null);
    this.#pending = [];
    this.#bytes = 0;
  }

  async #mark(kind: string): Promise<void> {
    const positions = [{ stream: kind + this.#source.hash, offset: this.#source.sequence }];
    await this.#transactor.commit([positionsMessage(this.partition, positions)], null);
  }
}

async function settled(ledger: KafkaLedger, targets: readonly Target[]): Promise<void> {
  const deadline = Date.now() + SETTLE_MS;
  while (targets.some(({ partition, head }) => ledger.copy(partition).readableSequence < head.sequence)) {
    const broken = targets.map(({ partition }) => ledger.copy(partition).fault).find((fault) => fault !== null);
    if (broken !== undefined) throw broken;
    if (Date.now() > deadline) {
      throw new Fault('LEDGER_FAILED', 'what was imported cannot be read back in time', 'Run the import again.');
    }
    await wait(LOOK_MS);
  }
}

/** What can be read back from the topics must be what the source has, in its order. */
async function compare(source: SqliteLedger, ledger: KafkaLedger): Promise<void> {
  const readers = Array.from({ length: ledger.partitions }, (_, partition) =>
    ledger.read(partition, 1)[Symbol.asyncIterator](),
  );
  for await (const stored of source.read(0, 1)) {
    for (const reader of targetsOf(stored, readers)) {
      const { value, done } = await reader.next();
      if (done === true || value.text !== stored.text) {
        throw new ChainFault(stored, 'altered', 'the topics do not have this entry where it belongs');
      }
    }
  }
}
