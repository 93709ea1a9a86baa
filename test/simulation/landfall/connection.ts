import type { Directory } from '../../../log/directory.ts';
import { Fault } from '../../../events/fault.ts';
import type { Batch, Head, Owner, StoredEntry } from '../../../log/port.ts';
import type { EngineLedger } from '../../../service/engine/embedded.ts';
import type { MemoryLedger } from '../../support/memory-ledger.ts';
import type { Sim } from '../world/sim.ts';
import type { Life } from './life.ts';

type Flight = {
  readonly batch: Batch;
  readonly resolve: (head: Head) => void;
  readonly reject: (fault: Fault) => void;
};

/** Observes commits, and may kill the process at a commit. `number` counts the commits of a world from 1. */
export interface CommitWitness {
  /** Called before the commit, when none of its entries is durable. */
  called(batch: Batch): void;
  durable(batch: Batch, stored: readonly StoredEntry[]): void;
  /** Called when the commit is durable and its result is not delivered yet. */
  unacknowledged(): void;
}
export type LedgerDamage = {
  readonly directory?: (directory: Directory, now: number) => Directory;
  readonly openAttempts?: (ledger: MemoryLedger) => ReturnType<EngineLedger['openAttempts']>;
  readonly owner?: (owner: Owner) => Owner;
};

/**
 * The ledger connection of one process, on a disk that outlives the process. Commits take time, are joined, are refused, or end
 * with an unknown result. After a kill the last commits may still complete.
 */
export class Connection implements EngineLedger {
  readonly parts = [];
  readonly #sim: Sim;
  readonly #disk: MemoryLedger;
  readonly #life: Life;
  readonly #witness: CommitWitness;
  readonly #damage: LedgerDamage;
  #owner: SimulatedOwner | null = null;

  constructor(sim: Sim, disk: MemoryLedger, life: Life, witness: CommitWitness, damage: LedgerDamage) {
    this.#sim = sim;
    this.#disk = disk;
    this.#life = life;
    this.#witness = witness;
    this.#damage = damage;
  }

  /** True if every requested commit is done and its owner knows the result. */
  get isQuiet(): boolean {
    return this.#owner?.isQuiet ?? true;
  }

  async claim(): Promise<Owner> {
    await this.#life.later(this.#sim.random('disk').integer(0, 40), () => {
      if (this.#sim.fault('claim-refused', 0.1)) throw full();
    });
    const owner = new SimulatedOwner(this.#sim, this.#life, this.#witness, await this.#disk.claim(), this.#disk);
    this.#owner = owner;
    return this.#damage.owner?.(owner) ?? owner;
  }

  directory(): Directory {
    return this.#damage.directory?.(this.#disk, this.#life.now()) ?? this.#disk;
  }

  openAttempts(): ReturnType<EngineLedger['openAttempts']> {
    return this.#damage.openAttempts?.(this.#disk) ?? this.#disk.openAttempts();
  }

  setHorizon(): Promise<void> {
    return this.#life.later(this.#sim.random('disk').integer(0, 2), () => {});
  }

  close(): Promise<void> {
    return this.#life.later(this.#sim.random('disk').integer(0, 5), () => {});
  }
}

class SimulatedOwner implements Owner {
  readonly partition = 0;
  readonly claimedHead: Head;
  readonly inputPositions: ReadonlyMap<string, number>;
  readonly checkpoints: ReadonlyMap<string, number>;
  readonly recall: Owner['recall'];
  readonly #sim: Sim;
  readonly #life: Life;
  readonly #witness: CommitWitness;
  readonly #disk: MemoryLedger;
  readonly #inner: Owner;
  #queue: Flight[] = [];
  #isWriting = false;
  #fault: Fault | null = null;

  constructor(sim: Sim, life: Life, witness: CommitWitness, inner: Owner, disk: MemoryLedger) {
    this.#sim = sim;
    this.#life = life;
    this.#witness = witness;
    this.#disk = disk;
    this.#inner = inner;
    this.claimedHead = inner.claimedHead;
    this.inputPositions = inner.inputPositions;
    this.checkpoints = inner.checkpoints;
    this.recall = (identities) => inner.recall(identities);
    life.whenKilled(() => this.#leave());
  }

  get isQuiet(): boolean {
    return !this.#isWriting;
  }

  commit(batch: Batch): Promise<Head> {
    if (this.#fault !== null) return Promise.reject(this.#fault);
    this.#witness.called(batch);
    if (this.#life.isOver) return new Promise(() => {});
    return new Promise((resolve, reject) => {
      this.#queue.push({ batch, resolve, reject });
      if (!this.#isWriting) this.#write();
    });
  }

  release(): Promise<void> {
    return Promise.resolve();
  }

  #write(): void {
    const random = this.#sim.random('disk');
    this.#isWriting = true;
    const ms = this.#sim.fault('commit-slow', 0.02) ? random.integer(100, 8000) : random.integer(0, 4);
    this.#life.after(ms, () => {
      const flights = this.#queue.splice(0);
      if (this.#sim.fault('disk-error', 0.008)) return this.#fail(flights, full());
      if (this.#sim.fault('commit-outcome-unknown', 0.008)) return this.#lose(flights);
      const heads = flights.map(({ batch }) => this.#append(batch));
      this.#witness.unacknowledged();
      this.#life.after(random.integer(0, 3), () => this.#acknowledge(flights, heads));
    });
  }

  #acknowledge(flights: readonly Flight[], heads: readonly Head[]): void {
    this.#isWriting = false;
    for (const [nth, { resolve }] of flights.entries()) {
      const head = heads[nth];
      if (head !== undefined) resolve(head);
    }
    if (this.#queue.length > 0) this.#write();
  }

  /** Breaks the connection. The pending commits are durable up to a random one. */
  #lose(flights: readonly Flight[]): void {
    for (const { batch } of flights.slice(0, this.#sim.random('disk').integer(0, flights.length))) this.#append(batch);
    this.#fail(flights, new Fault('LEDGER_OUTCOME_UNKNOWN', 'simulated: the connection broke', ''));
  }

  #fail(flights: readonly Flight[], fault: Fault): void {
    this.#sim.trace(() => `the ledger refuses a commit: ${fault.code}`);
    this.#fault = fault;
    this.#isWriting = false;
    for (const { reject } of flights) reject(fault);
  }

  /** Kills the process. Commits already handed to the disk may complete. */
  #leave(): void {
    const flights = this.#queue.splice(0);
    if (flights.length === 0 || !this.#sim.fault('commit-outlives', 0.4)) return;
    for (const { batch } of flights) this.#append(batch);
  }

  #append(batch: Batch): Head {
    // The ledger in memory appends before it returns.
    void this.#inner.commit(batch);
    const { stored } = this.#disk;
    this.#witness.durable(batch, batch.entries.length === 0 ? [] : stored.slice(-batch.entries.length));
    const last = stored.at(-1);
    return last === undefined ? this.claimedHead : { sequence: last.sequence, hash: last.hash };
  }
}

const full = () => new Fault('LEDGER_FULL', 'simulated: no space left on device', '');
