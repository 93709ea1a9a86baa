import type { FaultKind } from './faults.ts';
import { Random } from './random.ts';
import { Schedule } from './schedule.ts';

/** The service's clock at the start of virtual time. */
export const EPOCH = 1_700_000_000_000;

export class Violation extends Error {
  readonly rule: string;
  constructor(rule: string, message: string) {
    super(message);
    this.name = 'Violation';
    this.rule = rule;
  }
}

/** Probabilities of faults that differ from the defaults. */
export type Likely = Partial<Readonly<Record<FaultKind, number>>>;

/**
 * The shared parts of a simulated world: time, random numbers, enabled faults, and the trace. Each fault and each part has its
 * own random stream, so switching one fault off changes the rest of a world little. Shrinking depends on that.
 */
export class Sim {
  readonly schedule = new Schedule();
  readonly seed: string;
  readonly violations: Violation[] = [];
  readonly lines: string[] = [];
  /** The time after which no fault begins, in virtual milliseconds. */
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

  /** Decides if the fault happens at this point. */
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
