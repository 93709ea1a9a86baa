import type { Entry } from '../../events/entries.ts';
import { Fault } from '../../events/fault.ts';
import { link, type Link } from '../chain.ts';
import { textOf } from '../entry-text.ts';
import type { Batch, Checkpoint, Head, Identity, InputPosition, Owner } from '../port.ts';
import type { Replica } from './replica.ts';
import type { ReplicaStore } from './replica-store.ts';
import { outcomeUnknown } from '../../kafka/faults.ts';
import { inputsStream } from './inputs-stream.ts';
import { OffsetsHint } from './offsets-hint.ts';
import { entryRecords, type Progressed, progressRecord } from './records.ts';
import type { GroupOffset, NewRecord } from '../../kafka/port.ts';
import type { Transactor } from '../../kafka/transactor.ts';

/**
 * The owner of one partition. Waiting batches are joined into one transaction, which also commits the group's offset when that is
 * due. While a transaction commits, the next batches wait, and the replica writes the previous transaction.
 */

export type OwnerOptions = {
  readonly transactor: Transactor;
  readonly replica: Replica<ReplicaStore>;
  readonly inputsTopic: string;
  readonly group: string;
  /** Called after each durable transaction. */
  readonly committed?: (partition: number, entries: number, ms: number) => void;
  /** Called when the owner is dead, because a commit failed or a newer owner fenced it. */
  readonly lost: (fault: Fault) => void;
  /** Called when the transactor is closed and the owner can commit nothing more. */
  readonly ended: () => void;
};

/** The size of a transaction, unless its first batch alone is larger. */
const TRANSACTION_BYTES_MAX = 6 * 1024 * 1024;

type PendingBatch = {
  readonly batch: Batch;
  readonly texts: readonly string[];
  readonly resolve: (head: Head) => void;
  readonly reject: (fault: Fault) => void;
};

export class KafkaOwner implements Owner {
  readonly partition: number;
  readonly claimedHead: Head;
  readonly inputPositions: ReadonlyMap<string, number>;
  readonly checkpoints: ReadonlyMap<string, number>;
  readonly #options: OwnerOptions;
  #queue: PendingBatch[] = [];
  #head: Head;
  #dead: Fault | null = null;
  #committing: Promise<void> | null = null;
  #closed: Promise<void> | null = null;
  /** The replica's pending writes of committed transactions. */
  readonly #replicating = new Set<Promise<unknown>>();
  readonly #hint = new OffsetsHint(() => this.#wake());

  constructor(options: OwnerOptions) {
    this.#options = options;
    this.partition = options.replica.partition;
    this.claimedHead = options.replica.head;
    this.#head = options.replica.head;
    this.inputPositions = new Map(options.replica.inputPositions);
    this.checkpoints = new Map(options.replica.checkpoints);
  }

  commit(batch: Batch): Promise<Head> {
    if (this.#dead !== null) return Promise.reject(this.#dead);
    return new Promise((resolve, reject) => {
      this.#queue.push({ batch, texts: batch.texts ?? batch.entries.map(textOf), resolve, reject });
      this.#wake();
    });
  }

  #wake(): void {
    if (this.#dead === null) this.#committing ??= this.#run();
  }

  recall(identities: readonly Identity[]): (string | null)[] {
    return this.#options.replica.recall(identities);
  }

  /** Ends an owner that a newer owner has fenced; an idle owner would not notice. */
  overtaken(why: Fault): void {
    if (this.#dead !== null) return;
    void this.end(why);
    this.#options.lost(why);
  }

  release(): Promise<void> {
    this.#hint.hurry();
    return this.end(new Fault('LEDGER_FENCED', 'this owner has released the partition', 'Claim the partition again.'));
  }

  /** Stops accepting batches; resolves when pending batches are durable and readable, or rejected. */
  async end(why: Fault): Promise<void> {
    this.#dead ??= why;
    await this.#committing;
    await Promise.allSettled(this.#replicating);
    await this.#close();
  }

  #close(): Promise<void> {
    this.#hint.forget();
    this.#closed ??= this.#options.transactor.close().then(this.#options.ended);
    return this.#closed;
  }

  async #run(): Promise<void> {
    // Batches of the same turn of the event loop are committed together.
    await Promise.resolve();
    while (this.#queue.length > 0 || this.#hint.isDue) {
      const group = this.#nextGroup();
      try {
        await this.#commitGroup(group);
      } catch (error) {
        this.#die(error, group);
      }
    }
    this.#committing = null;
  }

  #nextGroup(): PendingBatch[] {
    let bytes = 0;
    let count = 0;
    for (const { texts } of this.#queue) {
      bytes += texts.reduce((sum, text) => sum + text.length, 0);
      if (count > 0 && bytes > TRANSACTION_BYTES_MAX) break;
      count += 1;
    }
    return this.#queue.splice(0, count);
  }

  async #commitGroup(group: readonly PendingBatch[]): Promise<void> {
    const { transactor, replica, committed } = this.#options;
    const entries = group.flatMap(({ batch }) => batch.entries);
    const progressed = progressedBy(group.map(({ batch }) => batch));
    const began = performance.now();
    const { links, heads } = this.#chain(group);
    const hint = this.#hint.along(this.#offsetsIn(progressed.inputPositions));
    const records = this.#recordsOf(links, entries, progressed);
    const offset = records.length === 0 && hint === null ? null : await transactor.commit(records, hint);
    if (records.length === 0) return resolveAll(group, heads);
    this.#head = heads.at(-1) ?? this.#head;
    committed?.(this.partition, entries.length, performance.now() - began);
    const replicated = replica.append({ links, entries, ...progressed, offset });
    this.#replicating.add(replicated);
    replicated.then(
      () => resolveAll(group, heads),
      (error: unknown) => this.#die(error, group),
    );
    const forget = () => this.#replicating.delete(replicated);
    replicated.then(forget, forget);
  }

  #recordsOf(links: readonly Link[], entries: readonly Entry[], progressed: Progressed): NewRecord[] {
    if (links.length > 0) return entryRecords(links, entries, progressed);
    const isEmpty = progressed.inputPositions.length === 0 && progressed.checkpoints.length === 0;
    return isEmpty ? [] : [progressRecord(progressed)];
  }

  #chain(group: readonly PendingBatch[]): { links: Link[]; heads: Head[] } {
    const links: Link[] = [];
    let { sequence, hash } = this.#head;
    const heads = group.map(({ texts }) => {
      for (const text of texts) {
        const previous = hash;
        hash = link(previous, text);
        sequence += 1;
        links.push({ partition: this.partition, sequence, previous, hash, text });
      }
      return { sequence, hash };
    });
    return { links, heads };
  }

  /** Returns the group's offset after these positions; null if they hold no input of this partition. */
  #offsetsIn(positions: readonly InputPosition[]): GroupOffset | null {
    const { inputsTopic: topic, group, replica } = this.#options;
    const stream = inputsStream(replica.checkpoints, topic, this.partition);
    const position = positions.find((each) => each.stream === stream);
    return position === undefined ? null : { group, topic, partition: this.partition, next: position.offset + 1 };
  }

  /** Rejects the batches and reports the end, because not every caller of `commit` reports a rejection. */
  #die(error: unknown, group: readonly PendingBatch[]): void {
    const fault = error instanceof Fault ? error : outcomeUnknown(error);
    this.#dead ??= fault;
    for (const { reject } of group) reject(fault);
    for (const { reject } of this.#queue.splice(0)) reject(fault);
    this.#options.lost(fault);
    void this.#close();
  }
}

function resolveAll(group: readonly PendingBatch[], heads: readonly Head[]): void {
  for (const [index, { resolve }] of group.entries()) {
    const head = heads[index];
    if (head !== undefined) resolve(head);
  }
}

/** Returns the highest input position of each stream, and the highest checkpoint of each key. */
function progressedBy(batches: readonly Batch[]): Progressed {
  const positions = new Map<string, InputPosition>();
  const checkpoints = new Map<string, Checkpoint>();
  for (const batch of batches) {
    for (const position of batch.inputPositions)
      if (position.offset > (positions.get(position.stream)?.offset ?? -1)) positions.set(position.stream, position);
    for (const checkpoint of batch.checkpoints ?? [])
      if (checkpoint.value > (checkpoints.get(checkpoint.key)?.value ?? -1))
        checkpoints.set(checkpoint.key, checkpoint);
  }
  return { inputPositions: [...positions.values()], checkpoints: [...checkpoints.values()] };
}
