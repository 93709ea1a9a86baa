import { type Attempt, newAttempt, quickCourse } from '../../../../bench/workload.ts';
import { connectTo } from '../../../../kafka/client.ts';
import { topicsOf } from '../../../../kafka/options.ts';
import { partitionOf } from '../../../../kafka/partitioner.ts';
import { RecordProducer } from '../../../../kafka/record-producer.ts';

/**
 * Simulates hosts and an orchestrator that write to the inputs topic at least once: an unacknowledged input is sent again. Each
 * attempt settles if its inputs are consumed in order.
 */

export type LoadOptions = {
  readonly brokers: readonly string[];
  readonly prefix: string;
  readonly partitions: number;
  /** The number of concurrent attempts per partition. */
  readonly width?: number;
  /** The pause between two sends of a partition, in milliseconds. */
  readonly pauseMs?: number;
};

const RETRY_MS = 50;

export class Load {
  /** The acknowledged inputs of each VM in order, as `source id`. */
  readonly acknowledged = new Map<string, string[]>();
  readonly attempts: Attempt[] = [];
  count = 0;
  /** The number of repeated sends. */
  repeated = 0;
  readonly #options: LoadOptions;
  readonly #producer: RecordProducer;
  readonly #spare = new Map<number, Attempt[]>();
  #stopped = false;
  #lanes: Promise<unknown> = Promise.resolve();

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#producer = new RecordProducer(connectTo({ brokers: options.brokers, clientId: 'load' }));
  }

  start(): this {
    const lanes = Array.from({ length: this.#options.partitions }, (_, partition) => this.#lane(partition));
    this.#lanes = Promise.all(lanes);
    return this;
  }

  /** Resolves when `count` inputs are acknowledged. */
  async reached(count: number): Promise<void> {
    while (this.count < count && !this.#stopped) await pause(20);
  }

  /** Stops new attempts and resolves when every open attempt has sent all its inputs. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#lanes;
    await this.#producer.close();
  }

  async #lane(partition: number): Promise<void> {
    const { width = 40, pauseMs = 0 } = this.#options;
    while (!this.#stopped) {
      const attempts = Array.from({ length: width }, () => this.#attemptOf(partition));
      this.attempts.push(...attempts);
      const courses = attempts.map(quickCourse);
      const steps = courses[0]?.length ?? 0;
      for (let step = 0; step < steps; step += 1) {
        await this.#send(
          partition,
          attempts,
          courses.map((course) => course[step] ?? ''),
        );
        await pause(pauseMs);
      }
    }
  }

  async #send(partition: number, attempts: readonly Attempt[], values: readonly string[]): Promise<void> {
    const { inputs } = topicsOf(this.#options.prefix);
    const messages = values.map((value, index) => ({ key: attempts[index]?.vm ?? null, value }));
    for (;;) {
      try {
        await this.#producer.send(inputs, partition, messages);
        break;
      } catch {
        this.repeated += 1;
        await pause(RETRY_MS);
      }
    }
    for (const [index, value] of values.entries()) {
      const { source, id } = JSON.parse(value) as { source: string; id: string };
      const vm = attempts[index]?.vm ?? '';
      const known = this.acknowledged.get(vm) ?? [];
      known.push(`${source} ${id}`);
      this.acknowledged.set(vm, known);
    }
    this.count += values.length;
  }

  /** The UUID of a VM determines its partition. */
  #attemptOf(partition: number): Attempt {
    for (;;) {
      const spare = this.#spare.get(partition)?.pop();
      if (spare !== undefined) return spare;
      const attempt = newAttempt();
      const at = partitionOf(attempt.vm, this.#options.partitions);
      this.#spare.set(at, [...(this.#spare.get(at) ?? []), attempt]);
    }
  }
}

const pause = (ms: number) => new Promise((wake) => setTimeout(wake, ms));
