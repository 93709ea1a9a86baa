import type { Entry } from '../events/entries.ts';
import type { Input } from '../events/inputs.ts';
import type { Head, Owner } from '../log/port.ts';
import type { Directory } from '../log/directory.ts';
import { Partition, type Refusal } from './partition/partition.ts';
import type { CacheLimits } from './partition/workspace.ts';

export type CommitListener = (entries: readonly Entry[], head: Head) => void;

/**
 * Commits the decisions of a claimed partition in batches, and reports a batch to its listeners only after it is durable. The
 * partition loop drives it continuously; the command line and recordings drive it step by step.
 */
export class Driver {
  readonly partition: Partition;
  readonly #owner: Owner;
  readonly #listeners: CommitListener[] = [];

  constructor(owner: Owner, directory: Directory, limits?: CacheLimits) {
    this.#owner = owner;
    this.partition = new Partition(directory, (identities) => owner.recall(identities), limits);
  }

  /** Calls the listener with every durable batch, in order. */
  onCommitted(listener: CommitListener): void {
    this.#listeners.push(listener);
  }

  /**
   * Commits everything decided since the last flush. Several flushes may be under way; they become durable in call order.
   * @returns the head after the commit; null if there was nothing to commit.
   * @throws Fault LEDGER_…. The driver must not be used after a fault, because its memory is ahead of the ledger.
   */
  async flush(): Promise<Head | null> {
    const { batch, committed } = this.partition.drain();
    if (batch.entries.length === 0 && batch.inputPositions.length === 0) return null;
    const head = await this.#owner.commit(batch);
    committed();
    for (const listener of this.#listeners) listener(batch.entries, head);
    return head;
  }

  /** Decides an input at time `now` of a clock. */
  take(input: Input, now: number, clock: string): { refusal: Refusal | null } {
    const taken = this.partition.take(input, null, now, clock);
    return { refusal: taken.outcome === 'refused' ? taken.refusal : null };
  }

  /** Commits the remaining decisions and gives the partition up. */
  async release(): Promise<void> {
    await this.flush();
    await this.#owner.release();
  }
}
