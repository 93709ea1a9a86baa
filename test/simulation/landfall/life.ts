import type { Time } from '../../../engine/time.ts';
import { EPOCH, type Sim } from '../world/sim.ts';

/**
 * One life of the service's process, as its time: what it planned happens in virtual time, and once it is killed nothing
 * happens any more, nor does anything keep its memory.
 */
export class Life implements Time {
  readonly #sim: Sim;
  readonly #skewMs: () => number;
  readonly #planned = new Map<number, () => void>();
  readonly #whenKilled = new Set<() => void>();
  #count = 0;
  #isOver = false;

  constructor(sim: Sim, skewMs: () => number) {
    this.#sim = sim;
    this.#skewMs = skewMs;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  now(): number {
    return EPOCH + this.#sim.now + this.#skewMs();
  }

  after(ms: number, callback: () => void): () => void {
    if (this.#isOver) return () => {};
    this.#count += 1;
    const nth = this.#count;
    this.#planned.set(nth, callback);
    this.#sim.after(ms, () => this.#run(nth));
    return () => this.#planned.delete(nth);
  }

  /** The process has other things to do as well. */
  soon(callback: () => void): void {
    this.after(this.#sim.random('service').integer(0, 8), callback);
  }

  #run(nth: number): void {
    const callback = this.#planned.get(nth);
    if (callback === undefined) return;
    this.#planned.delete(nth);
    this.#sim.schedule.unsettled();
    callback();
  }

  /** Resolves after so long with what is made then; never, where the process is killed before. */
  later<T>(ms: number, make: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.after(ms, () => {
        try {
          resolve(make());
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      });
    });
  }

  /** Calls back once where the process is killed, unless that is cancelled. */
  whenKilled(callback: () => void): () => void {
    this.#whenKilled.add(callback);
    return () => this.#whenKilled.delete(callback);
  }

  kill(): void {
    this.#isOver = true;
    this.#planned.clear();
    const callbacks = [...this.#whenKilled];
    this.#whenKilled.clear();
    for (const callback of callbacks) callback();
    this.#sim.schedule.unsettled();
  }
}
