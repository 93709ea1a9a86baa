import type { FaultKind } from './faults.ts';
import { Random } from './random.ts';
import { Schedule } from './schedule.ts';

/** Where virtual time begins, as the service's clock tells it. */
export const EPOCH = 1_700_000_000_000;

export class Violation extends Error {
  readonly rule: string;
  constructor(rule: string, message: string) {
    super(message);
    this.name = 'Violation';
    this.rule = rule;
  }
}

/** How probable faults are, where that is not what they usually are. */
export type Likely = Partial<Readonly<Record<FaultKind, number>>>;

/**
 * What every part of a simulated world shares: time, chance, the faults that may happen, and the trace.
 *
 * Each fault and each part draws from a stream of its own, so that a world with one fault switched off is otherwise much the
 * same: that is what makes shrinking work.
 */
export class Sim {
  readonly schedule = new Schedule();
  readonly seed: string;
  readonly violations: Violation[] = [];
  readonly lines: string[] = [];
  /** When the world becomes calm, in virtual milliseconds. */
  faultsUntil = 0;
  readonly happened = new Map<FaultKind, number>();
  readonly #faults: ReadonlySet<FaultKind>;
  readonly #streams = new Map<string, Random>();
  readonly #tracing: boolean;
  readonly #likely: Likely;

  constructor(seed: string, faults: ReadonlySet<FaultKind>, tracing: boolean, likely: Likely = {}) {
    this.#likely = likely;
    this.seed = seed;
    this.#faults = faults;
    this.#tracing = tracing;
  }

  get now(): number {
    return this.schedule.now;
  }

  random(stream: string): Random {
    const known = this.#streams.get(stream);
    if (known !== undefined) return known;
    const random = new Random(`${this.seed}/${stream}`);
    this.#streams.set(stream, random);
    return random;
  }

  /** Whether the fault happens here and now. */
  fault(kind: FaultKind, probability: number): boolean {
    const drawn = this.random(`fault:${kind}`).chance(this.#likely[kind] ?? probability);
    const happens = drawn && this.#faults.has(kind) && this.now < this.faultsUntil;
    if (happens) this.happened.set(kind, (this.happened.get(kind) ?? 0) + 1);
    return happens;
  }

  after(ms: number, run: () => void): void {
    this.schedule.after(ms, run);
  }

  trace(text: () => string): void {
    if (this.#tracing) this.lines.push(`${(this.now / 1000).toFixed(3).padStart(9)}  ${text()}`);
  }

  violate(rule: string, message: string): void {
    this.trace(() => `VIOLATION ${rule}: ${message}`);
    this.violations.push(new Violation(rule, `at ${(this.now / 1000).toFixed(3)} s: ${message}`));
  }
}
