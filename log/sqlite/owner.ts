import { Fault } from '../../events/fault.ts';
import { textOf } from '../entry-text.ts';
import type { Batch, Head, Identity, Owner } from '../port.ts';
import type { FollowerModule } from './followers.ts';
import { recordsOf } from './identity-rows.ts';
import type { WriterAnswer } from './messages.ts';
import { columnsOf, PARTITION } from './rows.ts';
import type { WriterThread } from './writer-thread.ts';

/** What an owner needs of its ledger. */
export type OwnerHost = {
  readonly writer: WriterThread;
  readonly number: number;
  readonly followers: readonly FollowerModule[];
  recall(identities: readonly Identity[]): (string | null)[];
  /** A batch is on disk: the inputs that it consumed are known from now on. */
  remember(records: Uint8Array, sequence: number): void;
};

export class SqliteOwner implements Owner {
  readonly partition = PARTITION;
  readonly claimedHead: Head;
  readonly inputPositions: ReadonlyMap<string, number>;
  readonly checkpoints: ReadonlyMap<string, number>;
  readonly #host: OwnerHost;
  readonly #underWay = new Set<Promise<Head>>();
  #dead: Fault | null = null;

  constructor(host: OwnerHost, { head, progress }: WriterAnswer) {
    this.#host = host;
    this.claimedHead = head;
    this.inputPositions = progress?.inputPositions ?? new Map();
    this.checkpoints = progress?.checkpoints ?? new Map();
  }

  commit(batch: Batch): Promise<Head> {
    if (this.#dead !== null) return Promise.reject(this.#dead);
    const committed = this.#commit(batch);
    this.#underWay.add(committed);
    const forget = () => this.#underWay.delete(committed);
    committed.then(forget, forget);
    return committed;
  }

  recall(identities: readonly Identity[]): (string | null)[] {
    return this.#host.recall(identities);
  }

  async release(): Promise<void> {
    const underWay = [...this.#underWay];
    this.#dead ??= new Fault('LEDGER_FENCED', 'the partition was given up', 'Claim it anew.');
    await Promise.allSettled(underWay);
  }

  async #commit(batch: Batch): Promise<Head> {
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

  /** By itself, so that the texts need not stay in memory until they are written. */
  #send(batch: Batch, identities: Uint8Array): Promise<WriterAnswer> {
    const { entries, inputPositions, checkpoints = [], texts = entries.map(textOf) } = batch;
    const { writer, number, followers } = this.#host;
    const columns = entries.map(columnsOf);
    const extracts = followers.map((follower) => follower.extract(entries));
    return writer.commit({ owner: number, texts, columns, extracts, identities, inputPositions, checkpoints });
  }
}
