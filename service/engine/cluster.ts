import { setTimeout as wait } from 'node:timers/promises';
import type { Time } from '../../engine/time.ts';
import type { Fault } from '../../events/fault.ts';
import type { KafkaLedger } from '../../log/kafka/ledger.ts';
import { formatPosition } from '../../log/port.ts';
import type { WorkQueue } from '../../producers/work-queue.ts';
import type { Part } from '../reads/parts.ts';
import type { ClusterHealth } from './cluster-health.ts';
import { inputLag, type Lag, ledgerLag, relayLag } from './cluster-lag.ts';
import type { ClusterParts } from './cluster-parts.ts';
import type * as engine from './engine.ts';

/**
 * The engine of one of several instances that share the partitions of a topic: any instance accepts any input and answers any
 * read, and each partition is decided by one instance. `openClusterEngine` creates it.
 */

const REACHED_LOOK_MS = 20;

export class ClusterEngine implements engine.Engine {
  readonly #parts: ClusterParts;
  readonly #health: ClusterHealth;
  readonly #time: Time;

  constructor(parts: ClusterParts, health: ClusterHealth, time: Time) {
    this.#parts = parts;
    this.#health = health;
    this.#time = time;
  }

  get workQueue(): WorkQueue {
    return this.#parts.workQueue;
  }

  get parts(): readonly Part[] {
    return this.#parts.reads;
  }

  get ledger(): KafkaLedger {
    return this.#parts.ledger;
  }

  /** The partitions this instance decides now. */
  get owned(): number[] {
    const ownerships = [...this.#parts.membership.ownerships.values()];
    return ownerships.filter(({ fault }) => fault === null).map(({ partition }) => partition);
  }

  get fault(): Fault | null {
    return this.#health.fault;
  }

  /** Returns whether every partition's replica has been up to date at least once since the start. */
  get isCopied(): boolean {
    return this.#health.isCopied;
  }

  get ageMs(): number {
    return this.#health.ageMs;
  }

  get position(): string {
    const { ledger, reads } = this.#parts;
    return reads
      .map(({ partition }) => formatPosition({ partition, sequence: ledger.replica(partition).readableSequence }))
      .join(',');
  }

  get waiting(): number {
    const ownerships = [...this.#parts.membership.ownerships.values()];
    return this.#parts.backlog.inputs + ownerships.reduce((sum, { waiting }) => sum + waiting, 0);
  }

  /** Ledger records that are not in the replicas yet. */
  get lag(): Lag[] {
    return ledgerLag(this.#parts);
  }

  /** Inputs of the owned partitions that are not decided yet. @throws Fault KAFKA_…. */
  async inputLag(): Promise<Lag[]> {
    return inputLag(this.#parts, this.owned);
  }

  /** Mapped topics that are not read now. */
  get unreadTopics(): readonly string[] {
    return this.#parts.mappedTopics?.unread ?? [];
  }

  /** The number of entries of the owned partitions whose commands and dead letters may not have been sent yet. */
  get relayLag(): Lag[] {
    return relayLag(this.#parts, this.owned);
  }

  async start(): Promise<void> {
    this.#parts.membership.start();
    this.#parts.mappedTopics?.start();
    this.#parts.observer.claimed?.();
  }

  hasRoom(bytes: number): boolean {
    return this.#parts.backlog.hasRoom(1, bytes);
  }

  submit(submissions: readonly engine.Submission[], how: engine.Submitting = {}): Promise<engine.Receipt[]> {
    return this.#parts.submit(submissions, how);
  }

  async reached(position: string, ms: number): Promise<boolean> {
    for (const deadline = this.#time.now() + ms; ; await wait(REACHED_LOOK_MS)) {
      if (position.split(',').every((each) => this.#hasReached(each))) return true;
      if (this.#parts.stopping.aborted || this.#time.now() >= deadline) return false;
    }
  }

  async stop(): Promise<void> {
    if (this.#parts.stopping.aborted) return;
    this.#parts.stop();
    const { workQueue, membership, producers, ledger, mappedTopics } = this.#parts;
    workQueue.close();
    await mappedTopics?.stop();
    await membership.stop();
    await Promise.all([producers.inputs.close(), producers.outgoing.close()]);
    await ledger.close();
  }

  #hasReached(position: string): boolean {
    const match = /^(\d{1,5}):(\d{1,15})$/.exec(position);
    const partition = Number(match?.[1] ?? Number.NaN);
    const { ledger } = this.#parts;
    if (!(partition < ledger.partitions)) return false;
    return ledger.replica(partition).readableSequence >= Number(match?.[2]);
  }
}
