import { Fault } from '../events/fault.ts';
import { briefly } from './bounded.ts';
import { kafkaFault } from './faults.ts';
import type { KafkaLog } from './options.ts';
import type { ConsumerEvents, ConsumerSettings, KafkaClient, KafkaConsumer } from './port.ts';
import { Standstill } from './standstill.ts';

/**
 * One consumer of a group that is kept alive: a consumer that crashes, stands still or falls silent is closed and replaced by a
 * new one, after a delay that doubles until a consumer joins the group.
 */

export type SupervisedConsumerOptions = {
  readonly kafka: Pick<KafkaClient, 'consumer'>;
  readonly settings: ConsumerSettings;
  /** The topics to read, resolved before each start. A rejection counts as a failed start. */
  readonly topics: () => Promise<readonly string[]>;
  readonly events: Pick<ConsumerEvents, 'assigned' | 'batch'> & Partial<ConsumerEvents>;
  /** The delay before a replacement, in milliseconds. */
  readonly restart: { readonly minMs: number; readonly maxMs: number };
  /**
   * The partitions that have unread records, each with the offset reached. If none of them moves for 10 s, the consumer is
   * replaced: after a cut connection kafkajs 2.2.4 may stay in the group and fetch nothing.
   */
  readonly behind?: () => Promise<ReadonlyMap<number, number>>;
  /** A consumer without a fetch and a heartbeat for this time is replaced; without a limit by default. */
  readonly silentMs?: number;
  readonly log: KafkaLog;
};

const CHECK_MS = 2000;

export class SupervisedConsumer {
  readonly #options: SupervisedConsumerOptions;
  readonly #standstill = new Standstill();
  #consumer: KafkaConsumer | null = null;
  /** The number of the current start: events of an earlier consumer are ignored. */
  #generation = 0;
  #isAssigned = false;
  #failure: string | null = null;
  #aliveAt = 0;
  #restartMs: number;
  #restart: NodeJS.Timeout | null = null;
  #checks: NodeJS.Timeout | null = null;
  #starting: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(options: SupervisedConsumerOptions) {
    this.#options = options;
    this.#restartMs = options.restart.minMs;
  }

  /** Returns whether the group has assigned partitions to the current consumer. */
  get isAssigned(): boolean {
    return this.#isAssigned;
  }

  /** Why the last consumer was replaced; null once the group has assigned partitions again. */
  get failure(): string | null {
    return this.#failure;
  }

  /** Resolves after the first attempt to join, also if the attempt failed: it is repeated until `stop`. */
  start(): Promise<void> {
    this.#checks ??= setInterval(() => void this.#check(), CHECK_MS);
    this.#starting = this.#begin();
    return this.#starting;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#isAssigned = false;
    if (this.#restart !== null) clearTimeout(this.#restart);
    if (this.#checks !== null) clearInterval(this.#checks);
    await this.#consumer?.close();
    await briefly(this.#starting);
  }

  /** Leaves the group and joins it again at once. */
  rejoin(): void {
    this.#replace(0);
  }

  /** Changes the position and the pauses of the consumer. Nothing is changed while no consumer has an assignment. */
  order(give: (consumer: KafkaConsumer) => void): void {
    if (this.#consumer === null || !this.#isAssigned) return;
    try {
      give(this.#consumer);
    } catch (error) {
      this.#options.log('debug', 'the consumer refused an order', { error: String(error) });
    }
  }

  async #begin(): Promise<void> {
    const { kafka, settings, topics } = this.#options;
    this.#generation += 1;
    const generation = this.#generation;
    const isCurrent = () => !this.#isStopped && generation === this.#generation;
    this.#aliveAt = Date.now();
    try {
      const names = await topics();
      if (!isCurrent()) return;
      this.#consumer = kafka.consumer(settings, this.#eventsWhile(isCurrent));
      await this.#consumer.start(names);
    } catch (error) {
      if (isCurrent()) this.#fail(error);
    }
  }

  #eventsWhile(isCurrent: () => boolean): ConsumerEvents {
    const { events } = this.#options;
    const alive = () => {
      this.#aliveAt = Date.now();
    };
    const whileCurrent = (work: () => void) => (isCurrent() ? work() : undefined);
    return {
      assigned: (assignment) => whileCurrent(() => this.#assigned(assignment)),
      rebalancing: () => whileCurrent(() => events.rebalancing?.()),
      heartbeat: () =>
        whileCurrent(() => {
          alive();
          events.heartbeat?.();
        }),
      fetched: () => whileCurrent(alive),
      passed: (...passed) => whileCurrent(() => events.passed?.(...passed)),
      crashed: (error) => whileCurrent(() => this.#fail(error)),
      batch: async (batch, progress) => {
        if (isCurrent()) await events.batch(batch, progress);
      },
    };
  }

  #assigned(assignment: ReadonlyMap<string, readonly number[]>): void {
    this.#isAssigned = true;
    this.#failure = null;
    this.#restartMs = this.#options.restart.minMs;
    this.#options.events.assigned(assignment);
  }

  #fail(error: unknown): void {
    const { log, restart, settings } = this.#options;
    const { code, message, remedy } = kafkaFault(error);
    log('warn', 'the consumer failed and will be replaced', { group: settings.group, code, error: message, remedy });
    const delayMs = this.#restartMs;
    this.#restartMs = Math.min(delayMs * 2, restart.maxMs);
    this.#replace(delayMs);
    this.#failure = message;
  }

  #replace(delayMs: number): void {
    if (this.#isStopped || this.#restart !== null) return;
    this.#generation += 1;
    this.#isAssigned = false;
    this.#failure = null;
    this.#standstill.reset();
    this.#restart = setTimeout(() => {
      this.#restart = null;
      this.#starting = this.#closeAndBegin();
    }, delayMs);
  }

  async #closeAndBegin(): Promise<void> {
    await this.#consumer?.close();
    if (!this.#isStopped) await this.#begin();
  }

  async #check(): Promise<void> {
    const { behind, silentMs = Number.POSITIVE_INFINITY } = this.#options;
    if (this.#isStopped || this.#restart !== null) return;
    const silentForMs = Date.now() - this.#aliveAt;
    if (silentForMs >= silentMs) return this.#fail(standingStill(`nothing was fetched for ${silentForMs} ms`));
    if (behind === undefined || !this.#isAssigned) return;
    const generation = this.#generation;
    // The offsets of the topic are unknown while the brokers do not answer.
    const partitions = await behind().catch(() => new Map<number, number>());
    if (generation !== this.#generation) return;
    const still = this.#standstill.look(partitions, Date.now());
    if (still.length > 0) this.#fail(standingStill(`nothing is delivered of partitions ${still.join(', ')}`));
  }
}

function standingStill(message: string): Fault {
  return new Fault('KAFKA_FAILED', message, 'Check the brokers; the consumer is replaced.');
}
