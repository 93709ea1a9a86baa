import type { Partition } from '../../../engine/partition/partition.ts';
import type { Input } from '../../../events/inputs.ts';
import type { Batch } from '../../../log/port.ts';

/** An input of a partition, or null for a call that fires due deadlines. */
export type Operation = { readonly now: number; readonly input: Input | null };

/** Records the inputs of partitions per batch, in the order in which the batches became durable. */
export class Recorder {
  readonly durable: Operation[] = [];
  readonly #batches = new WeakMap<Batch, readonly Operation[]>();

  /** Records a partition from its start. */
  listen(partition: Partition): void {
    let since: Operation[] = [];
    const take = partition.take.bind(partition);
    const fire = partition.fire.bind(partition);
    const drain = partition.drain.bind(partition);
    partition.take = (input, at, now, clock) => {
      since.push({ now, input });
      return take(input, at, now, clock);
    };
    partition.fire = (now, clock, limit) => {
      const fired = fire(now, clock, limit);
      if (fired > 0) since.push({ now, input: null });
      return fired;
    };
    partition.drain = () => {
      const drained = drain();
      this.#batches.set(drained.batch, since);
      since = [];
      return drained;
    };
  }

  /** Records that the batch is in the ledger. */
  keep(batch: Batch): void {
    const operations = this.#batches.get(batch) ?? [];
    this.durable.push(...operations);
  }
}
