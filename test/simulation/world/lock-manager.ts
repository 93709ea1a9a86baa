import type { Sim } from './sim.ts';

/**
 * Leases as a lock manager keeps them. It accepts a second exclusive holder, because Landfall must prevent that case and the
 * checker must detect it. It refuses only if an operator took the lock by hand on a host that never reported the guest to
 * Landfall.
 */
export class LockManager {
  readonly #sim: Sim;
  readonly #holders = new Map<string, Set<string>>();
  readonly #byHand = new Set<string>();

  constructor(sim: Sim) {
    this.#sim = sim;
  }

  holders(volume: string): readonly string[] {
    return [...(this.#holders.get(volume) ?? [])];
  }

  /** Returns true if an operator took the lock by hand on this host. */
  isByHand(volume: string, host: string): boolean {
    return this.#byHand.has(`${volume}/${host}`);
  }

  hold(volume: string, host: string, by?: 'hand'): void {
    if (by === 'hand') this.#byHand.add(`${volume}/${host}`);
    else this.#byHand.delete(`${volume}/${host}`);
    const holders = this.#holders.get(volume) ?? new Set();
    this.#holders.set(volume, holders.add(host));
    this.#changed(volume);
  }

  free(volume: string, host: string): void {
    this.#holders.get(volume)?.delete(host);
    this.#changed(volume);
  }

  #changed(volume: string): void {
    this.#sim.trace(() => `${volume} is held by ${this.holders(volume).join(', ') || 'nobody'}`);
  }
}
