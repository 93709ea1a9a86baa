import { Fault } from '../../events/fault.ts';
import type { Entry } from '../../events/entries.ts';
import { ChainFault, extend, type Link } from '../chain.ts';
import { entryOf } from '../entry-text.ts';
import type { Checkpoint, Head, Identity, InputPosition, Owner, Progress } from '../port.ts';
import { SqliteLedger } from '../sqlite/ledger.ts';
import { outcomeUnknown } from '../../kafka/faults.ts';

/**
 * One partition of the ledger as this instance has it: a ledger file of its own with its projections, written only from what
 * is committed in the topic. Reads are answered from it, and an owner goes on from it. Whatever it lacks, or a crash took
 * from it, comes again from the topic.
 */

/** What its owner has committed just now. */
export type CommittedRecords = {
  readonly links: readonly Link[];
  /** The entries of the links. */
  readonly entries: readonly Entry[];
  readonly inputPositions: readonly InputPosition[];
  readonly checkpoints: readonly Checkpoint[];
  /** The last record's offset in the topic; null where it is not known. */
  readonly offset: number | null;
};

/** An entry, and where it stands in the topic. */
export type OffsetLink = Link & { readonly offset: number };

/** Committed records that were read, in the order of the topic. */
export type ReadRecords = {
  readonly links: readonly OffsetLink[];
  readonly inputPositions: readonly InputPosition[];
  readonly checkpoints: readonly Checkpoint[];
  /** The last record's offset in the topic. */
  readonly offset: number;
};

export type ReplicaOptions = {
  readonly file: string;
  readonly partition: number;
  readonly followers: readonly string[];
  readonly machineVersion: string;
};

/** Told of what has become readable. */
export type ReadableListener = (
  partition: number,
  entries: readonly Entry[],
  head: Head,
  inputPositions: readonly InputPosition[],
) => void;

/** The checkpoint key of the last offset of the ledger topic that this file holds. */
const TOPIC_OFFSET = 'ledger';

/** Faults that no second try makes good. */
const LASTING: ReadonlySet<string> = new Set(['LEDGER_ALTERED', 'LEDGER_DAMAGED', 'ENTRY_NEWER']);

type Written = Omit<CommittedRecords, 'offset'> & { readonly offset: number; readonly head: Head };

export class Replica implements Progress {
  readonly partition: number;
  readonly ledger: SqliteLedger;
  readonly #onReadable: ReadableListener;
  #owner: Owner;
  #inputPositions: Map<string, number>;
  #checkpoints: Map<string, number>;
  /** The end of what was handed to the file, which is committed in that order. */
  #head: Head;
  #offset: number | null;
  /** What readers see: the last sequence, and how far the topic was read for it. */
  #readable: number;
  #readableOffset: number | null;
  /** Something that was committed is not here: until the topic was read, nothing more is appended behind the gap. */
  #isOutOfStep = false;
  #written: Promise<unknown> = Promise.resolve();
  #fault: Fault | null = null;

  private constructor(options: ReplicaOptions, ledger: SqliteLedger, owner: Owner, onReadable: ReadableListener) {
    this.partition = options.partition;
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

  /** @throws Fault LEDGER_…: delete the file where it is damaged, it is fetched anew. */
  static async open(options: ReplicaOptions, onReadable: ReadableListener): Promise<Replica> {
    const { file, followers, machineVersion } = options;
    const ledger = await SqliteLedger.open({ file, mode: 'write', followers, machineVersion, durability: 'relaxed' });
    try {
      return new Replica(options, ledger, await ledger.claim(0), onReadable);
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

  /** The same of what readers see. */
  get readableOffset(): number | null {
    return this.#readableOffset;
  }

  /** How far inputs were consumed, as far as the topic was read. */
  get inputPositions(): ReadonlyMap<string, number> {
    return this.#inputPositions;
  }

  /** The checkpoints, as far as the topic was read. */
  get checkpoints(): ReadonlyMap<string, number> {
    return this.#checkpoints;
  }

  /** What ended it; null while it takes records. */
  get fault(): Fault | null {
    return this.#fault;
  }

  recall(identities: readonly Identity[]): (string | null)[] {
    return this.#owner.recall(identities);
  }

  /**
   * Appends what its owner has committed. Resolves once it is readable.
   * @throws Fault LEDGER_OUTCOME_UNKNOWN where it is not known to stand right behind what is here: it is to be read from the
   * topic; LEDGER_FULL and the like of its file.
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
   * Appends what is new among these; what is here already is compared. Resolves once it is readable.
   * @throws Fault LEDGER_ALTERED where topic and copy differ, LEDGER_FULL and the like of its file.
   */
  async take(taken: ReadRecords): Promise<void> {
    if (this.#fault !== null) throw this.#fault;
    await this.#guard(this.#take(taken));
  }

  /**
   * Takes records again after a fault that may be over, such as a full disk: from where its file ends. What is missing there
   * comes again from the topic.
   * @returns whether it does.
   */
  async recover(): Promise<boolean> {
    if (this.#fault === null || LASTING.has(this.#fault.code)) return false;
    try {
      const owner = await this.ledger.claim(0);
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

  /** Returns once everything that was appended is readable. */
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

  /** Whether the topic was read through this offset. */
  #has(offset: number): boolean {
    return this.#offset !== null && offset <= this.#offset;
  }

  /** A record that stands behind all that is here must be the next one, whatever it calls itself. */
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
    // Whoever waits for `append` hears of a failure; nobody else need.
    this.#written.catch(() => {});
    const written = await committed;
    if (links.length > 0 && written.hash !== hash) throw this.#differs(sequence);
    this.#readable = sequence;
    this.#readableOffset = topicOffset.value;
    this.#onReadable(this.partition, entries, head, inputPositions);
  }

  async #requireSame(links: readonly OffsetLink[]): Promise<void> {
    // Only what is written can be read.
    await this.#written;
    for (const { sequence, previous, hash, text } of links) {
      const stored = this.ledger.entryAt(sequence);
      const isSame = stored?.hash === hash && stored.previous === previous && stored.text === text;
      if (!isSame) throw this.#differs(sequence);
    }
  }

  #differs(sequence: number): Fault {
    return new ChainFault(
      { partition: this.partition, sequence },
      'altered',
      'the topic and the local copy of it say different things',
    );
  }
}

/** Removes the topic offset from the checkpoints and returns it; null if the file holds no record yet. */
function takeTopicOffset(checkpoints: Map<string, number>): number | null {
  const offset = checkpoints.get(TOPIC_OFFSET) ?? null;
  checkpoints.delete(TOPIC_OFFSET);
  return offset;
}

function outOfStep(partition: number): Fault {
  return outcomeUnknown(new Error(`where its records stand in partition ${partition} is not known`));
}

function replicaFailed(cause: unknown): Fault {
  return new Fault('LEDGER_FAILED', 'the local copy of the ledger could not be written', 'See the cause.', cause);
}
