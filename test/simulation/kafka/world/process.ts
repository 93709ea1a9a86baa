import { AsyncLocalStorage } from 'node:async_hooks';
import { syncBuiltinESMExports } from 'node:module';
import timersPromises from 'node:timers/promises';
import type { Time } from '../../../../engine/time.ts';
import type { ClientProcess } from '../broker/network.ts';
import { EPOCH, type KafkaSim } from './kafka-sim.ts';

/**
 * A process of an instance on virtual time. Code that runs in the process sees virtual clocks and timers, also through the
 * globals of Node, so the product runs unchanged. Code outside of every process keeps the real clocks and timers.
 */
export class SimulatedProcess implements ClientProcess {
  slowMs = 0;
  /** The difference of the machine's clock from virtual time. */
  skewMs = 0;
  readonly #sim: KafkaSim;
  #isKilled = false;
  #frozenUntil = 0;

  constructor(sim: KafkaSim) {
    this.#sim = sim;
  }

  get isKilled(): boolean {
    return this.#isKilled;
  }

  /** Milliseconds of virtual time, as the monotonic clock shows it. */
  get uptimeMs(): number {
    return this.#sim.now();
  }

  get wallMs(): number {
    return EPOCH + this.#sim.now() + this.skewMs;
  }

  get time(): Time {
    return {
      now: () => this.wallMs,
      after: (ms, callback) => this.plan(ms, callback),
      soon: (callback) => void this.plan(0, callback),
    };
  }

  run(work: () => void): void {
    if (this.#isKilled) return;
    if (this.#sim.now() < this.#frozenUntil) {
      this.#sim.schedule.at(this.#frozenUntil, () => this.run(work));
      return;
    }
    this.#sim.schedule.unsettled();
    current.run(this, work);
  }

  /** Calls back in the process after `ms`. Returns a function that cancels the call. */
  plan(ms: number, callback: () => void): () => void {
    let isCancelled = false;
    this.#sim.after(ms, () =>
      this.run(() => {
        if (!isCancelled) callback();
      }),
    );
    return () => {
      isCancelled = true;
    };
  }

  /** Stops the process for a time, as SIGSTOP does. */
  freeze(ms: number): void {
    this.#frozenUntil = Math.max(this.#frozenUntil, this.#sim.now() + ms);
  }

  kill(): void {
    this.#isKilled = true;
  }
}

const current = new AsyncLocalStorage<SimulatedProcess>();

/** A timer of a simulated process. */
class VirtualTimer {
  cancel: () => void = () => {};

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }
}

function replaceTimers(): void {
  const { setTimeout: realTimeout, setInterval: realInterval, clearTimeout: realClear } = globalThis;
  const begin = (process: SimulatedProcess, callback: () => void, ms: number, repeats: boolean): VirtualTimer => {
    const timer = new VirtualTimer();
    const again = () => {
      timer.cancel = process.plan(ms, () => {
        if (repeats) again();
        callback();
      });
    };
    again();
    return timer;
  };
  const replaced = (real: typeof realTimeout | typeof realInterval, repeats: boolean) =>
    ((callback: (...args: unknown[]) => void, ms = 0, ...args: unknown[]) => {
      const process = current.getStore();
      if (process === undefined) return real(callback, ms, ...args);
      return begin(process, () => callback(...args), ms, repeats);
    }) as unknown as typeof realTimeout;
  const clear = ((timer: unknown) => {
    if (timer instanceof VirtualTimer) timer.cancel();
    else realClear(timer as NodeJS.Timeout);
  }) as typeof realClear;
  Object.assign(globalThis, {
    setTimeout: replaced(realTimeout, false),
    setInterval: replaced(realInterval, true),
    clearTimeout: clear,
    clearInterval: clear,
  });
}

function replaceClocks(): void {
  const [realDate, realMonotonic] = [Date.now.bind(Date), performance.now.bind(performance)];
  Date.now = () => current.getStore()?.wallMs ?? realDate();
  performance.now = () => current.getStore()?.uptimeMs ?? realMonotonic();
}

function replaceWaits(): void {
  const realWait = timersPromises.setTimeout;
  const wait = <T>(ms = 0, value?: T, options: { signal?: AbortSignal; ref?: boolean } = {}): Promise<T> => {
    const process = current.getStore();
    if (process === undefined) return realWait(ms, value, options);
    return new Promise((resolve, reject) => {
      const cancel = process.plan(ms, () => resolve(value as T));
      options.signal?.addEventListener('abort', () => {
        cancel();
        reject(new Error('the wait was aborted'));
      });
    });
  };
  Object.assign(timersPromises, { setTimeout: wait });
  syncBuiltinESMExports();
}

replaceTimers();
replaceClocks();
replaceWaits();
