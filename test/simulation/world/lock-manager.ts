import type { Sim } from './sim.ts';

/**
 * Leases as a lock manager keeps them. It is lenient about a second exclusive holder: that one must never come about by
 * Landfall's doing is for Landfall to see to, and for the checker to find out.
 */
export class LockManager {
  readonly #sim: Sim;
  readonly #holders = new Map<string, Set<string>>();
  /** Told of every change, so that it can be reported. */
  onChange: (volume: string, holders: readonly string[]) => void = () => {};

  constructor(sim: Sim) {
    this.#sim = sim;
  }

  holders(volume: string): readonly string[] {
    return [...(this.#holders.get(volume) ?? [])];
  }

  hold(volume: string, host: string): void {
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
    this.onChange(volume, this.holders(volume));
  }
}
