import { Fault } from '../../events/fault.ts';
import { textOf } from '../entry-text.ts';
import type { Batch, Head, Identity, Owner } from '../port.ts';
import type { InlineProjectionModule } from './inline-projections.ts';
import { recordsOf } from './identity-rows.ts';
import type { WriterAnswer } from './messages.ts';
import { columnsOf } from './rows.ts';
import type { WriterThread } from './writer-thread.ts';

/** The parts of a ledger that its owner uses. */
export type OwnerHost = {
  readonly writer: WriterThread;
  readonly number: number;
  readonly partition: number;
  readonly projections: readonly InlineProjectionModule[];
  recall(identities: readonly Identity[]): (string | null)[];
  /** Remembers the inputs of a batch that is on disk. */
  remember(records: Uint8Array, sequence: number): void;
};

export class SqliteOwner implements Owner {
  readonly partition: number;
  readonly claimedHead: Head;
  readonly inputPositions: ReadonlyMap<string, number>;
  readonly checkpoints: ReadonlyMap<string, number>;
  readonly #host: OwnerHost;
  readonly #pending = new Set<Promise<Head>>();
  #dead: Fault | null = null;

  constructor(host: OwnerHost, { head, progress }: WriterAnswer) {
    this.#host = host;
    this.partition = host.partition;
    this.claimedHead = head;
    this.inputPositions = progress?.inputPositions ?? new Map();
    this.checkpoints = progress?.checkpoints ?? new Map();
  }

  commit(batch: Batch): Promise<Head> {
    if (this.#dead !== null) return Promise.reject(this.#dead);
    const committed = this.#commitAndRemember(batch);
    this.#pending.add(committed);
    const forget = () => this.#pending.delete(committed);
    committed.then(forget, forget);
    return committed;
  }

  recall(identities: readonly Identity[]): (string | null)[] {
    return this.#host.recall(identities);
  }

  async release(): Promise<void> {
    const pending = [...this.#pending];
    this.#dead ??= new Fault('LEDGER_FENCED', 'the partition was released', 'Claim the partition again.');
    await Promise.allSettled(pending);
  }

  /** Any fault ends the owner, because later commits would follow a batch that may be missing. */
  async #commitAndRemember(batch: Batch): Promise<Head> {
    const identities = recordsOf(batch.entries);
    try {
      const { head } = await this.#send(batch, identities);
      this.#host.remember(identities, head.sequence);
      return head;
    } catch (error) {
      if (error instanceof Fault) this.#dead ??= error;
      throw error;
    }
  }

  /** Sends a batch to the writer thread. A separate method lets the texts be freed before the writer has answered. */
  #send(batch: Batch, identities: Uint8Array): Promise<WriterAnswer> {
    const { entries, inputPositions, checkpoints = [], texts = entries.map(textOf) } = batch;
    const { writer, number, projections } = this.#host;
    const columns = entries.map(columnsOf);
    const extracts = projections.map((projection) => projection.extract(entries));
    return writer.commit({ owner: number, texts, columns, extracts, identities, inputPositions, checkpoints });
  }
}
