import type { Replica } from './replica.ts';

/** Measures the lag and the age of each replica by the ends of the topic. */

export type FreshnessOptions = {
  readonly replicas: readonly Pick<Replica, 'offset' | 'readableOffset'>[];
  /** Reads the end of each partition from the brokers. */
  readonly ends: () => Promise<ReadonlyMap<number, number>>;
  readonly isOwned: (partition: number) => boolean;
  /** Called when an owned partition has records that this instance did not commit: another owner has written them. */
  readonly overtaken: (partition: number) => void;
};

export class Freshness {
  readonly #options: FreshnessOptions;
  readonly #upToDateAt = new Map<number, number>();
  readonly #lag = new Map<number, number>();
  /** The last offset read from each partition, transaction markers included. */
  readonly #readThrough = new Map<number, number>();
  /**
   * The end of the topic at an earlier check, which the replica had not reached then. Under load the replica never
   * reaches the newest end.
   */
  readonly #awaitedEnd = new Map<number, { readonly at: number; readonly end: number }>();
  /** The last commit of an owned partition, if the previous check found more records behind it. */
  readonly #overtakenAt = new Map<number, number | null>();

  constructor(options: FreshnessOptions) {
    this.#options = options;
  }

  /** Records that a partition was read up to and including the offset `through`. */
  read(partition: number, through: number): void {
    this.#readThrough.set(partition, through);
  }

  /** Returns the number of records that the topic has and the replica lacks, as of the last check. */
  lag(partition: number): number {
    return this.#lag.get(partition) ?? 0;
  }

  /** Returns the time since the replica was last known to be complete, in milliseconds; null if it never was. */
  ageMs(partition: number, now: number): number | null {
    const at = this.#upToDateAt.get(partition);
    return at === undefined ? null : Math.max(0, now - at);
  }

  /** Compares the replicas with the ends of the topic. @throws Fault KAFKA_… if the brokers do not answer. */
  async look(): Promise<void> {
    const now = Date.now();
    const before = this.#options.replicas.map(({ offset }) => offset);
    for (const [partition, end] of await this.#options.ends()) {
      const isOwned = this.#options.isOwned(partition);
      const lag = isOwned ? this.#ownedLag(partition, end) : this.#replicatedLag(partition, end);
      this.#lag.set(partition, lag);
      // After a crash a broker may report an end before the end of the replica; that check proves nothing.
      const isShorter = !isOwned && (before[partition] ?? -1) >= end;
      if (isShorter) this.#awaitedEnd.delete(partition);
      else this.#updateAge(partition, { at: now, end }, lag);
    }
  }

  #updateAge(partition: number, look: { at: number; end: number }, lag: number): void {
    const ahead = this.#awaitedEnd.get(partition);
    if (lag === 0) this.#upToDateAt.set(partition, look.at);
    else if (ahead !== undefined && ahead.end <= look.end - lag) this.#upToDateAt.set(partition, ahead.at);
    else if (ahead !== undefined) return;
    if (lag === 0) this.#awaitedEnd.delete(partition);
    else this.#awaitedEnd.set(partition, look);
  }

  #replicatedLag(partition: number, end: number): number {
    this.#overtakenAt.delete(partition);
    return Math.max(0, end - 1 - (this.#readThrough.get(partition) ?? -1));
  }

  /** Returns the lag of an owned partition: the committed records that readers of its replica cannot see yet. */
  #ownedLag(partition: number, end: number): number {
    const { offset = null, readableOffset = null } = this.#options.replicas[partition] ?? {};
    this.#detectOvertaken(partition, end, offset);
    return lagBehind(end, readableOffset);
  }

  /**
   * Calls `overtaken` if two consecutive checks find records behind the same last commit of this owner. A single check may fall
   * between the end of a commit and the write of its replica.
   */
  #detectOvertaken(partition: number, end: number, lastCommit: number | null): void {
    const hasMore = lagBehind(end, lastCommit) > 0;
    const isOvertaken = hasMore && this.#overtakenAt.get(partition) === lastCommit;
    if (hasMore && !isOvertaken) this.#overtakenAt.set(partition, lastCommit);
    else this.#overtakenAt.delete(partition);
    if (isOvertaken) this.#options.overtaken(partition);
  }
}

/** Returns the number of records behind the record at `offset` and its transaction marker. */
const lagBehind = (end: number, offset: number | null): number => Math.max(0, end - 2 - (offset ?? -1));
