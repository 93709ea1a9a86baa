import { Fault } from '../events/fault.ts';
import { formatPosition, GENESIS, type Head, type Ledger, type StoredEntry } from '../log/port.ts';
import type { Remote } from './remote.ts';

/** Reads the ledger of a running service page by page, up to the head at the time of opening. */
export class RemoteLedger implements Pick<Ledger, 'partitions' | 'head' | 'read'> {
  readonly #remote: Remote;
  /** The last sequence number of each partition at the time of opening. */
  readonly #last: readonly number[];

  private constructor(remote: Remote, last: readonly number[]) {
    this.#remote = remote;
    this.#last = last;
  }

  static async open(remote: Remote): Promise<RemoteLedger> {
    const position = await remote.position();
    const parts = position.split(',').map((part) => /^(\d+):(\d+)$/.exec(part));
    const last = parts.map((part, index) => (Number(part?.[1]) === index ? Number(part?.[2]) : Number.NaN));
    if (last.some(Number.isNaN)) {
      throw new Fault('NOT_LANDFALL', `${JSON.stringify(position)} is not a ledger position`, 'Check the URL.');
    }
    return new RemoteLedger(remote, last);
  }

  get partitions(): number {
    return this.#last.length;
  }

  async head(partition: number): Promise<Head> {
    const sequence = this.#last[partition] ?? 0;
    for await (const { hash } of this.read(partition, Math.max(1, sequence))) return { sequence, hash };
    return { sequence: 0, hash: GENESIS };
  }

  async *read(partition: number, from: number): AsyncGenerator<StoredEntry> {
    const last = this.#last[partition] ?? 0;
    for (let next = from; next <= last; ) {
      const entries = await this.#remote.entries(formatPosition({ partition, sequence: next }));
      for (const stored of entries) {
        // A page can continue with entries of the next partition.
        if (stored.partition !== partition || stored.sequence > last) return;
        yield stored;
      }
      const sequence = entries.at(-1)?.sequence;
      if (sequence === undefined) return;
      next = sequence + 1;
    }
  }

  /** Yields the entries of all partitions, one partition after another. */
  async *all(): AsyncGenerator<StoredEntry> {
    for (let partition = 0; partition < this.partitions; partition += 1) yield* this.read(partition, 1);
  }
}
