/**
 * Notices a consumer that stands still. After its connection was cut kafkajs 2.2.4 may leave one without a fetch: it stays in its
 * group, takes every order, delivers nothing and says nothing. So it is judged by the topic, which has more than was read.
 */

const STANDSTILL_MS = 10_000;

export class Standstill {
  #seen = new Map<number, { readonly at: number; readonly since: number }>();

  /**
   * @param behind the partitions that ought to be read on, each with the offset up to which it was.
   * @returns the partitions that have not moved for so long that the consumer is to be built anew.
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

  /** Another consumer begins. */
  reset(): void {
    this.#seen = new Map();
  }
}
