/** Detects partitions whose consumer has stopped delivering although the topic has more records. */

const STANDSTILL_MS = 10_000;

export class Standstill {
  #seen = new Map<number, { readonly at: number; readonly since: number }>();

  /**
   * @param behind the partitions with unread records, each with the offset reached.
   * @returns the partitions whose offset has not changed for 10 s.
   */
  look(behind: ReadonlyMap<number, number>, now: number): number[] {
    const before = this.#seen;
    this.#seen = new Map(
      [...behind].map(([partition, at]) => {
        const seen = before.get(partition);
        return [partition, seen?.at === at ? seen : { at, since: now }];
      }),
    );
    return [...this.#seen].filter(([, { since }]) => now - since >= STANDSTILL_MS).map(([partition]) => partition);
  }

  /** Forgets all partitions, because a new consumer begins. */
  reset(): void {
    this.#seen = new Map();
  }
}
