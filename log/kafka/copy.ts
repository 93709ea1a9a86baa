import { Fault } from '../../events/fault.ts';
import type { Entry } from '../../events/entries.ts';
import { ChainFault, extend, type Link } from '../chain.ts';
import { entryOf } from '../entry-text.ts';
import type { Head, Identity, InputPosition, Owner } from '../port.ts';
import { SqliteLedger } from '../sqlite/ledger.ts';

/**
 * One partition of the ledger as this instance has it: a ledger file of its own with its projections, written only from what
 * is committed in the topic. Reads are answered from it, and an owner goes on from it. Whatever it lacks, or a crash took
 * from it, comes again from the topic.
 */

/** Committed records, in the order of the topic. */
export type Appended = {
  readonly links: readonly Link[];
  /** The entries of the links, where they are at hand. */
  readonly entries?: readonly Entry[];
  readonly positions: readonly InputPosition[];
  /** The last record's offset in the topic; null where it is not known. */
  readonly offset: number | null;
};

export type CopyOptions = {
  readonly file: string;
  readonly partition: number;
  readonly followers: readonly string[];
  readonly machineVersion: string;
};

/** Told of what has become readable. */
export type Readable = (
  partition: number,
  entries: readonly Entry[],
  head: Head,
  positions: readonly InputPosition[],
) => void;

/** How far the topic was read is kept among the positions, under a name that no stream has. */
const TOPIC = '\u0000ledger';

export class Copy {
  readonly partition: number;
  readonly ledger: SqliteLedger;
  readonly #owner: Owner;
  readonly #onReadable: Readable;
  readonly #positions: Map<string, number>;
  /** The end of what was handed to the file, which is committed in that order. */
  #head: Head;
  #offset: number | null;
  #readable: number;
  #written: Promise<unknown> = Promise.resolve();
  #fault: Fault | null = null;

  private constructor(options: CopyOptions, ledger: SqliteLedger, owner: Owner, onReadable: Readable) {
    this.partition = options.partition;
    this.ledger = ledger;
    this.#owner = owner;
    this.#onReadable = onReadable;
    this.#head = owner.claimedHead;
    this.#readable = owner.claimedHead.sequence;
    this.#positions = new Map(owner.positions);
    this.#offset = this.#positions.get(TOPIC) ?? null;
    this.#positions.delete(TOPIC);
  }

  /** @throws Fault LEDGER_…: delete the file where it is damaged, it is fetched anew. */
  static async open(options: CopyOptions, onReadable: Readable): Promise<Copy> {
    const { file, followers, machineVersion } = options;
    const ledger = await SqliteLedger.open({ file, mode: 'write', followers, machineVersion, durability: 'relaxed' });
    try {
      return new Copy(options, ledger, await ledger.claim(0), onReadable);
    } catch (error) {
      await ledger.close();
      throw error;
    }
  }

  get head(): Head {
    return this.#head;
  }

  /** The last sequence that readers see. */
  get readableSequence(): number {
    return this.#readable;
  }

  /** The offset of the last record that is in here; null: none is. Reading goes on at it, so that it can be compared. */
  get offset(): number | null {
    return this.#offset;
  }

  /** How far inputs were consumed, as far as the topic was read. */
  get positions(): ReadonlyMap<string, number> {
    return this.#positions;
  }

  /** What ended it; null while it takes records. */
  get fault(): Fault | null {
    return this.#fault;
  }

  recall(identities: readonly Identity[]): (string | null)[] {
    return this.#owner.recall(identities);
  }

  /**
   * Appends what is new among these; what is here already is compared. Resolves once it is readable.
   * @throws Fault LEDGER_ALTERED where topic and copy differ, LEDGER_FULL and the like of its file.
   */
  async append(appended: Appended): Promise<void> {
    if (this.#fault !== null) throw this.#fault;
    try {
      await this.#append(appended);
    } catch (error) {
      this.#fault ??= error instanceof Fault ? error : copyFailed(error);
      throw this.#fault;
    }
  }

  /** Returns once everything that was appended is readable. */
  async settled(): Promise<void> {
    await this.#written;
  }

  async close(): Promise<void> {
    await this.#written.catch(() => {});
    await this.ledger.close();
  }

  async #append({ links, entries, positions, offset }: Appended): Promise<void> {
    const known = links.findIndex(({ sequence }) => sequence > this.#head.sequence);
    const fresh = known === -1 ? [] : links.slice(known);
    this.#requireSame(known === -1 ? links.at(-1) : links[known - 1]);
    // Entries that are at hand were chained by their owner just now.
    const head = entries === undefined ? fresh.reduce(extend, this.#head) : (fresh.at(-1) ?? this.#head);
    if (fresh.length === 0 && positions.length === 0 && (offset === null || offset === this.#offset)) return;
    const given = entries?.slice(links.length - fresh.length) ?? fresh.map(({ text }) => entryOf(text));
    this.#head = { sequence: head.sequence, hash: head.hash };
    if (offset !== null) this.#offset = Math.max(offset, this.#offset ?? 0);
    for (const { stream, offset: at } of positions)
      this.#positions.set(stream, Math.max(at, this.#positions.get(stream) ?? 0));
    const mark = this.#offset === null ? [] : [{ stream: TOPIC, offset: this.#offset }];
    const texts = fresh.map(({ text }) => text);
    const committed = this.#owner.commit({ entries: given, texts, positions: [...positions, ...mark] });
    this.#written = committed;
    // Whoever waits for `append` hears of a failure; nobody else need.
    this.#written.catch(() => {});
    const written = await committed;
    if (fresh.length > 0 && written.hash !== head.hash) throw this.#differs(head.sequence);
    this.#readable = head.sequence;
    this.#onReadable(this.partition, given, head, positions);
  }

  /** The newest record that both have must be the same one. */
  #requireSame(link: Link | undefined): void {
    if (link === undefined || link.sequence !== this.#head.sequence || link.hash === this.#head.hash) return;
    throw this.#differs(link.sequence);
  }

  #differs(sequence: number): Fault {
    return new ChainFault(
      { partition: this.partition, sequence },
      'altered',
      'the topic and the local copy of it say different things',
    );
  }
}

function copyFailed(cause: unknown): Fault {
  return new Fault('LEDGER_FAILED', 'the local copy of the ledger could not be written', 'See the cause.', cause);
}
