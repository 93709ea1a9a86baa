/** Helpers for measurements. */

export const MIB = 2 ** 20;

export const perSecond = (count: number, ms: number): number => count / (ms / 1000);
export const microsecondsEach = (ms: number, count: number): number => (ms * 1000) / count;

/** Measures the duration of `work`, in milliseconds. */
export function timed(work: () => void): number {
  const began = performance.now();
  work();
  return performance.now() - began;
}

export async function timedAsync(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** Sums the time spent inside the wrapped functions. */
export class Stopwatch {
  ms = 0;

  around<A extends readonly unknown[], R>(work: (...values: A) => R): (...values: A) => R {
    return (...values) => {
      const began = performance.now();
      try {
        return work(...values);
      } finally {
        this.ms += performance.now() - began;
      }
    };
  }
}

/** Keeps every sample, so percentiles are exact. */
export class Samples {
  readonly #values: number[] = [];

  add(value: number): void {
    this.#values.push(value);
  }

  get count(): number {
    return this.#values.length;
  }

  /** Returns the percentile for `share` (0 to 1); NaN without samples. */
  percentile(share: number): number {
    const sorted = Float64Array.from(this.#values).sort();
    return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
  }

  get max(): number {
    return this.percentile(1);
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
