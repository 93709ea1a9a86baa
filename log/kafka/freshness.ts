import type { Replica } from './replica.ts';

/** How old each copy is: when it was last known to have all that the topic has. */

export type FreshnessOptions = {
  readonly replicas: readonly Pick<Replica, 'offset' | 'readableOffset'>[];
  /** The ends of the topic's partitions, asked for now. */
  readonly ends: () => Promise<ReadonlyMap<number, number>>;
  readonly isOwned: (partition: number) => boolean;
  /** The topic has more than our own commits in a partition that is ours: another has it by now, or writes into it. */
  readonly overtaken: (partition: number) => void;
};

export class Freshness {
  readonly #options: FreshnessOptions;
  readonly #heardAt = new Map<number, number>();
  readonly #lag = new Map<number, number>();
  /** The last offset that was read of each partition, markers of transactions included. */
  readonly #readThrough = new Map<number, number>();
  /** An end of the topic that was not reached when it was looked at: under load the newest one never is. */
  readonly #ahead = new Map<number, { readonly at: number; readonly end: number }>();
  /** Where our commits ended when the topic had more at the last look. */
  readonly #outrun = new Map<number, number | null>();

  constructor(options: FreshnessOptions) {
    this.#options = options;
  }

  /** A partition was read through this offset. */
  read(partition: number, through: number): void {
    this.#readThrough.set(partition, through);
  }

  /** Records of a partition that are in the topic, but not in its copy yet, as of the last look. */
  lag(partition: number): number {
    return this.#lag.get(partition) ?? 0;
  }

  /** How long ago a partition's copy was last known to be up to date; null: never. */
  ageMs(partition: number, now: number): number | null {
    const at = this.#heardAt.get(partition);
    return at === undefined ? null : Math.max(0, now - at);
  }

  /** What was read is up to date as of the moment when the ends were asked for. @throws Fault KAFKA_… it grows older. */
  async look(): Promise<void> {
    const now = Date.now();
    const before = this.#options.replicas.map(({ offset }) => offset);
    for (const [partition, end] of await this.#options.ends()) {
      const isOwned = this.#options.isOwned(partition);
      const lag = isOwned ? this.#ownLag(partition, end) : this.#readLag(partition, end);
      this.#lag.set(partition, lag);
      // A topic that ends before its copy is not the one that was copied, or does not know yet what it has.
      const isShorter = !isOwned && (before[partition] ?? -1) >= end;
      if (isShorter) this.#ahead.delete(partition);
      else this.#note(partition, { at: now, end }, lag);
    }
  }

  #note(partition: number, look: { at: number; end: number }, lag: number): void {
    const ahead = this.#ahead.get(partition);
    if (lag === 0) this.#heardAt.set(partition, look.at);
    else if (ahead !== undefined && ahead.end <= look.end - lag) this.#heardAt.set(partition, ahead.at);
    else if (ahead !== undefined) return;
    if (lag === 0) this.#ahead.delete(partition);
    else this.#ahead.set(partition, look);
  }

  #readLag(partition: number, end: number): number {
    this.#outrun.delete(partition);
    return Math.max(0, end - 1 - (this.#readThrough.get(partition) ?? -1));
  }

  /**
   * What this instance commits is handed to its copy at once, and one marker stands behind it: more than that is not ours. One
   * look may fall between the end of a commit and its replica; two that see no commit of ours between them do not. As old as the
   * copy counts what readers see of it, which comes later.
   */
  #ownLag(partition: number, end: number): number {
    const { offset = null, readableOffset = null } = this.#options.replicas[partition] ?? {};
    const isMore = lagBehind(end, offset) > 0;
    const isOvertaken = isMore && this.#outrun.get(partition) === offset;
    if (!isMore || isOvertaken) this.#outrun.delete(partition);
    else this.#outrun.set(partition, offset);
    if (isOvertaken) this.#options.overtaken(partition);
    return lagBehind(end, readableOffset);
  }
}

/** Records that stand behind our last one and its marker. */
const lagBehind = (end: number, offset: number | null): number => Math.max(0, end - 2 - (offset ?? -1));
