import type { Time } from '../../engine/time.ts';

/** A time source that advances only when a test calls `pass`. */
export class HandTime implements Time {
  #now = 1_000_000;
  #alarms: { at: number; callback: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  /** The number of pending callbacks. */
  get alarms(): number {
    return this.#alarms.length;
  }

  after(ms: number, callback: () => void): () => void {
    const alarm = { at: this.#now + ms, callback };
    this.#alarms.push(alarm);
    return () => {
      this.#alarms = this.#alarms.filter((other) => other !== alarm);
    };
  }

  async pass(ms: number): Promise<void> {
    this.#now += ms;
    for (const alarm of this.#alarms.filter(({ at }) => at <= this.#now)) {
      this.#alarms = this.#alarms.filter((other) => other !== alarm);
      alarm.callback();
    }
    await turns();
  }
}

export async function turns(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await new Promise<void>((resolve) => setImmediate(resolve));
}
