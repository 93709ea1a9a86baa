import { Fault } from '../../events/fault.ts';
import type { Entry } from '../../events/entries.ts';
import { ChainFault, extend, type Link } from '../chain.ts';
import { entryOf } from '../entry-text.ts';
import type { Checkpoint, Head, Identity, InputPosition, Owner, Progress } from '../port.ts';
import { SqliteLedger } from '../sqlite/ledger.ts';
import { outcomeUnknown } from '../../kafka/faults.ts';
import type { CommittedRecords, ReplicaStore } from './replica-store.ts';

/**
 * The local replica of one partition of the ledger: a ledger file with projections, written only from records that are committed in
 * the topic. The instance answers reads from the replica, and an owner continues at its end. Records that the replica lacks, for
 * example after a crash, are read from the topic again.
 */

/** A link of the chain with its offset in the topic. */
export type OffsetLink = Link & { readonly offset: number };

/** Committed records that were read from the topic, in its order. */
export type ReadRecords = {
  readonly links: readonly OffsetLink[];
  readonly inputPositions: readonly InputPosition[];
  readonly checkpoints: readonly Checkpoint[];
  /** The offset of the last record in the topic. */
  readonly offset: number;
};

export type ReplicaOptions = {
  readonly file: string;
  readonly partition: number;
  readonly projections: readonly string[];
  readonly machineVersion: string;
};

/** Receives the entries that have become readable. */
export type ReadableListener = (
  partition: number,
  entries: readonly Entry[],
  head: Head,
  inputPositions: readonly InputPosition[],
) => void;

/** The checkpoint key of the last offset of the ledger topic that this file holds. */
const TOPIC_OFFSET = 'ledger';

/** Faults that a retry cannot fix. */
const PERMANENT_FAULTS: ReadonlySet<string> = new Set(['LEDGER_ALTERED', 'LEDGER_DAMAGED', 'ENTRY_NEWER']);

type Written = Omit<CommittedRecords, 'offset'> & { readonly offset: number; readonly head: Head };

export class Replica<S extends ReplicaStore = SqliteLedger> implements Progress {
  readonly partition: number;
  readonly ledger: S;
  readonly #onReadable: ReadableListener;
  #owner: Owner;
  #inputPositions: Map<string, number>;
  #checkpoints: Map<string, number>;
  /** The head after all entries that were passed to the file, which commits them in order. */
  #head: Head;
  #offset: number | null;
  /** The last sequence that readers see. */
  #readable: number;
  #readableOffset: number | null;
  /** Set while a committed record is missing here; appends are refused until the topic has been read. */
  #isOutOfStep = false;
  #written: Promise<unknown> = Promise.resolve();
  #fault: Fault | null = null;

  private constructor(partition: number, ledger: S, owner: Owner, onReadable: ReadableListener) {
    this.partition = partition;
    this.ledger = ledger;
    this.#onReadable = onReadable;
    this.#owner = owner;
    this.#head = owner.claimedHead;
    this.#readable = owner.claimedHead.sequence;
    this.#inputPositions = new Map(owner.inputPositions);
    this.#checkpoints = new Map(owner.checkpoints);
    this.#offset = takeTopicOffset(this.#checkpoints);
    this.#readableOffset = this.#offset;
  }

  /** Opens or creates the file. @throws Fault LEDGER_…; a damaged file can be deleted, it is fetched from the topic again. */
  static async open(options: ReplicaOptions, onReadable: ReadableListener): Promise<Replica> {
    const ledger = await SqliteLedger.open({ ...options, mode: 'write', durability: 'relaxed' });
    return Replica.over(ledger, options.partition, onReadable);
  }

  /** Continues at the end of an open local ledger, which the replica closes. @throws Fault LEDGER_…. */
  static async over<S extends ReplicaStore>(
    ledger: S,
    partition: number,
    onReadable: ReadableListener,
  ): Promise<Replica<S>> {
    try {
      return new Replica(partition, ledger, await ledger.claim(partition), onReadable);
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

  /** The offset of the last record in the replica, or null. Reading continues at this record, so that it is compared. */
  get offset(): number | null {
    return this.#offset;
  }

  /** The offset in the topic of the last record that readers see. */
  get readableOffset(): number | null {
    return this.#readableOffset;
  }

  /** The input positions up to the last record that was read from the topic. */
  get inputPositions(): ReadonlyMap<string, number> {
    return this.#inputPositions;
  }

  /** The checkpoints up to the last record that was read from the topic. */
  get checkpoints(): ReadonlyMap<string, number> {
    return this.#checkpoints;
  }

  /** The fault that ended the replica; null while the replica accepts records. */
  get fault(): Fault | null {
    return this.#fault;
  }

  recall(identities: readonly Identity[]): (string | null)[] {
    return this.#owner.recall(identities);
  }

  /**
   * Appends the records of a committed transaction. Resolves once they are readable.
   * @throws Fault LEDGER_OUTCOME_UNKNOWN if the records may not directly follow the replica and must be read from the topic;
   * LEDGER_FULL and other faults of the file.
   */
  async append(appended: CommittedRecords): Promise<void> {
    const { links, offset } = appended;
    if (this.#fault !== null) throw this.#fault;
    const [first = null] = links;
    const follows = first === null || first.previous === this.#head.hash;
    this.#isOutOfStep ||= !follows || offset === null || this.#has(offset);
    if (this.#isOutOfStep || offset === null) throw outOfStep(this.partition);
    await this.#guard(this.#write({ ...appended, offset, head: links.at(-1) ?? this.#head }));
  }

  /**
   * Appends new records and compares known records with the replica. Resolves once they are readable.
   * @throws Fault LEDGER_ALTERED if topic and replica differ; LEDGER_FULL and other faults of the file.
   */
  async take(taken: ReadRecords): Promise<void> {
    if (this.#fault !== null) throw this.#fault;
    await this.#guard(this.#take(taken));
  }

  /**
   * Continues at the end of the file after a fault that may be over, such as a full disk.
   * @returns whether the replica takes records again.
   */
  async recover(): Promise<boolean> {
    if (this.#fault === null || PERMANENT_FAULTS.has(this.#fault.code)) return false;
    try {
      const owner = await this.ledger.claim(this.partition);
      this.#owner = owner;
      this.#head = owner.claimedHead;
      this.#readable = owner.claimedHead.sequence;
      this.#inputPositions = new Map(owner.inputPositions);
      this.#checkpoints = new Map(owner.checkpoints);
      this.#offset = takeTopicOffset(this.#checkpoints);
      this.#readableOffset = this.#offset;
      this.#isOutOfStep = false;
      this.#written = Promise.resolve();
      this.#fault = null;
      return true;
    } catch (error) {
      this.#fault = error instanceof Fault ? error : replicaFailed(error);
      return false;
    }
  }

  /** Resolves once all appended records are readable. */
  async settled(): Promise<void> {
    await this.#written;
  }

  async close(): Promise<void> {
    await this.#written.catch(() => {});
    await this.ledger.close();
  }

  async #guard(work: Promise<void>): Promise<void> {
    try {
      await work;
    } catch (error) {
      this.#fault ??= error instanceof Fault ? error : replicaFailed(error);
      throw this.#fault;
    }
  }

  /** Returns whether the replica includes the record at this offset. */
  #has(offset: number): boolean {
    return this.#offset !== null && offset <= this.#offset;
  }

  /** A record behind the end of the replica must continue its chain, whatever sequence the record claims. */
  async #take(taken: ReadRecords): Promise<void> {
    const { links } = taken;
    this.#isOutOfStep = false;
    const old = links.filter((each) => this.#has(each.offset));
    if (old.length > 0) await this.#requireSame(old);
    const fresh = links.filter((each) => !this.#has(each.offset));
    const { sequence, hash } = fresh.reduce(extend, this.#head);
    const entries = fresh.map(({ text }) => entryOf(text));
    await this.#write({ ...taken, links: fresh, entries, head: { sequence, hash } });
  }

  /** Input positions and checkpoints only rise, so records that are read a second time cannot lower them. */
  async #write({ links, entries, offset, head: { sequence, hash }, ...progress }: Written): Promise<void> {
    const inputPositions = progress.inputPositions.filter(
      ({ stream, offset: at }) => at > (this.#inputPositions.get(stream) ?? -1),
    );
    const checkpoints = progress.checkpoints.filter(({ key, value }) => value > (this.#checkpoints.get(key) ?? -1));
    if (links.length + inputPositions.length + checkpoints.length === 0 && this.#has(offset)) {
      await this.#written;
      return;
    }
    const head = { sequence, hash };
    this.#head = head;
    this.#offset = Math.max(offset, this.#offset ?? 0);
    for (const { stream, offset: at } of inputPositions) this.#inputPositions.set(stream, at);
    for (const { key, value } of checkpoints) this.#checkpoints.set(key, value);
    const texts = links.map(({ text }) => text);
    const topicOffset = { key: TOPIC_OFFSET, value: this.#offset };
    const committed = this.#owner.commit({
      entries,
      texts,
      inputPositions,
      checkpoints: [...checkpoints, topicOffset],
    });
    this.#written = committed;
    // The rejection reaches the caller of `append` or `take`; this handler only marks it as handled.
    this.#written.catch(() => {});
    const written = await committed;
    if (links.length > 0 && written.hash !== hash) throw this.#differs(sequence);
    this.#readable = sequence;
    this.#readableOffset = topicOffset.value;
    this.#onReadable(this.partition, entries, head, inputPositions);
  }

  async #requireSame(links: readonly OffsetLink[]): Promise<void> {
    // Entries must be written before they can be read back.
    await this.#written;
    for (const { sequence, previous, hash, text } of links) {
      const stored = this.ledger.entryAt(sequence);
      const isSame = stored?.hash === hash && stored.previous === previous && stored.text === text;
      if (!isSame) throw this.#differs(sequence);
    }
  }

  #differs(sequence: number): Fault {
    return new ChainFault({ partition: this.partition, sequence }, 'altered', 'the topic and its local replica differ');
  }
}

/** Removes the topic offset from the checkpoints and returns it; null if the file holds no record yet. */
function takeTopicOffset(checkpoints: Map<string, number>): number | null {
  const offset = checkpoints.get(TOPIC_OFFSET) ?? null;
  checkpoints.delete(TOPIC_OFFSET);
  return offset;
}

function outOfStep(partition: number): Fault {
  return outcomeUnknown(new Error(`the offsets of the records in partition ${partition} are unknown`));
}

function replicaFailed(cause: unknown): Fault {
  return new Fault(
    'LEDGER_FAILED',
    'the local replica of the ledger could not be written',
    'Check the disk and the cause in the log.',
    cause,
  );
}
