import { Random } from '../../world/random.ts';
import { Schedule } from '../../world/schedule.ts';
import { Violation } from '../../world/sim.ts';
import type { Network } from '../broker/network.ts';
import { type KafkaFault, kafkaFaults } from '../faults.ts';

/** The clock of the machines at the start of virtual time. */
export const EPOCH = 1_700_000_000_000;

/** Probabilities of faults that differ from the defaults. */
export type LikelyKafkaFaults = Partial<Readonly<Record<KafkaFault, number>>>;

/** The shared parts of a Kafka world: virtual time, random numbers, faults and the trace. It is the network of its brokers. */
export class KafkaSim implements Network {
  readonly schedule = new Schedule();
  readonly violations: Violation[] = [];
  readonly lines: string[] = [];
  readonly happened = new Map<KafkaFault, number>();
  /** No fault happens after this virtual time. */
  faultsUntil = 0;
  readonly #seed: string;
  readonly #without: ReadonlySet<KafkaFault>;
  readonly #isTracing: boolean;
  readonly #likely: LikelyKafkaFaults;
  readonly #streams = new Map<string, Random>();

  constructor(seed: number, without: ReadonlySet<KafkaFault>, isTracing: boolean, likely: LikelyKafkaFaults = {}) {
    this.#likely = likely;
    this.#seed = `kafka/${seed}`;
    this.#without = without;
    this.#isTracing = isTracing;
  }

  now(): number {
    return this.schedule.now;
  }

  after(ms: number, run: () => void): void {
    this.schedule.after(ms, () => {
      this.schedule.unsettled();
      run();
    });
  }

  random(stream: string): Random {
    const known = this.#streams.get(stream);
    if (known !== undefined) return known;
    const random = new Random(`${this.#seed}/${stream}`);
    this.#streams.set(stream, random);
    return random;
  }

  between(min: number, max: number): number {
    return this.random('network').integer(min, max);
  }

  fault(kind: KafkaFault): boolean {
    const isDrawn = this.random(`fault:${kind}`).chance(this.#likely[kind] ?? kafkaFaults[kind]);
    const happens = isDrawn && !this.#without.has(kind) && this.now() < this.faultsUntil;
    if (happens) this.happened.set(kind, (this.happened.get(kind) ?? 0) + 1);
    return happens;
  }

  trace(text: () => string): void {
    if (this.#isTracing) this.lines.push(`${(this.now() / 1000).toFixed(3).padStart(9)}  ${text()}`);
  }

  violate(rule: string, message: string): void {
    this.trace(() => `VIOLATION ${rule}: ${message}`);
    this.violations.push(new Violation(rule, `at ${(this.now() / 1000).toFixed(3)} s: ${message}`));
  }
}
