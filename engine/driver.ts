import type { Entry } from '../events/entries.ts';
import type { Input } from '../events/inputs.ts';
import type { Head, Owner } from '../log/port.ts';
import type { Directory } from './partition/directory.ts';
import { Partition, type Refusal } from './partition/partition.ts';

/**
 * The driver of one partition: what the partition decided is committed in one batch, and only then told to anybody. Nothing
 * is acknowledged, asked or sent from an uncommitted decision.
 */
export type Committed = (entries: readonly Entry[], head: Head) => void;

export class Driver {
  readonly partition: Partition;
  readonly #owner: Owner;
  readonly #listeners: Committed[] = [];

  constructor(owner: Owner, directory: Directory) {
    this.#owner = owner;
    this.partition = new Partition(directory, (identities) => owner.recall(identities));
  }

  /** Called with every batch once it is durable, in order. */
  onCommitted(listener: Committed): void {
    this.#listeners.push(listener);
  }

  /**
   * Commits what was decided since the last flush; null where that was nothing. Batches become durable in the order they are flushed; several may be under way.
   * @throws Fault of the ledger. The driver is then of no more use: its memory is ahead of the ledger.
   */
  async flush(): Promise<Head | null> {
    const { batch, committed } = this.partition.drain();
    if (batch.entries.length === 0 && batch.inputPositions.length === 0) return null;
    const head = await this.#owner.commit(batch);
    committed();
    for (const listener of this.#listeners) listener(batch.entries, head);
    return head;
  }

  /** Takes one input on a clock; a sink for `submit`. */
  take(input: Input, now: number, clock: string): { refusal: Refusal | null } {
    const taken = this.partition.take(input, null, now, clock);
    return { refusal: taken.outcome === 'refused' ? taken.refusal : null };
  }

  async release(): Promise<void> {
    await this.flush();
    await this.#owner.release();
  }
}
