import type { Time } from '../../../engine/time.ts';
import { EPOCH, type Sim } from '../world/sim.ts';

/**
 * The time source of one run of the service's process. Callbacks run in virtual time. After a kill no callback runs, and the
 * timers release their references to the memory of the process.
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

  /** Simulates the time that the process spends on other work. */
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

  /** Resolves after `ms` with the result of `make`; never resolves if the process is killed before. */
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

  /** Calls back once when the process is killed. Returns a function that cancels the callback. */
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
