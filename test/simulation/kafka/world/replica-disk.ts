import { Fault } from '../../../../events/fault.ts';
import type { ReplicaStore } from '../../../../log/kafka/replica-store.ts';
import type { Batch, Head, Identity, Owner, StoredEntry } from '../../../../log/port.ts';
import { MemoryLedger } from '../../../support/memory-ledger.ts';
import type { KafkaSim } from './kafka-sim.ts';
import type { SimulatedProcess } from './process.ts';

/** The number of newest commits that a crash may lose. */
const LOST_MAX = 3;

/** The file of one replica. It outlives the process; a crash may lose its newest commits. */
export class ReplicaDisk {
  ledger = new MemoryLedger();
  positions = new Map<string, number>();
  checkpoints = new Map<string, number>();
  #batches: Batch[] = [];

  get stored(): readonly StoredEntry[] {
    return this.ledger.stored;
  }

  apply(batch: Batch): void {
    this.#batches.push(batch);
    this.#write(batch);
  }

  crash(lost: number): void {
    this.#batches = this.#batches.slice(0, Math.max(0, this.#batches.length - Math.min(lost, LOST_MAX)));
    this.ledger = new MemoryLedger();
    this.positions = new Map();
    this.checkpoints = new Map();
    for (const batch of this.#batches) this.#write(batch);
  }

  #write({ entries, inputPositions, checkpoints = [] }: Batch): void {
    this.ledger.append(entries);
    for (const { stream, offset } of inputPositions) this.positions.set(stream, offset);
    for (const { key, value } of checkpoints) this.checkpoints.set(key, value);
  }
}

/** The disk of a replica as one process uses it: commits take time, and may be refused. */
export class DiskStore implements ReplicaStore {
  readonly disk: ReplicaDisk;
  readonly #sim: KafkaSim;
  readonly #process: SimulatedProcess;
  readonly #partition: number;
  #busyUntil = 0;
  #owner = 0;
  #refused: { readonly owner: number; readonly fault: Fault } | null = null;

  constructor(disk: ReplicaDisk, partition: number, sim: KafkaSim, process: SimulatedProcess) {
    this.disk = disk;
    this.#partition = partition;
    this.#sim = sim;
    this.#process = process;
  }

  async claim(): Promise<Owner> {
    this.#owner += 1;
    const owner = this.#owner;
    const { positions, checkpoints, ledger } = this.disk;
    return {
      partition: this.#partition,
      claimedHead: ledger.lastHead,
      inputPositions: new Map(positions),
      checkpoints: new Map(checkpoints),
      commit: (batch: Batch) => this.#commit(owner, batch),
      recall: (identities: readonly Identity[]) => this.disk.ledger.recall(identities),
      release: async () => {},
    };
  }

  async head(): Promise<Head> {
    return this.disk.ledger.lastHead;
  }

  async *read(_partition: number, from: number): AsyncGenerator<StoredEntry> {
    yield* this.disk.stored.slice(Math.max(0, from - 1));
  }

  entryAt(sequence: number): StoredEntry | null {
    return this.disk.stored[sequence - 1] ?? null;
  }

  async close(): Promise<void> {}

  /** Commits are applied in the order of the calls. After a refused commit the owner is dead. */
  #commit(owner: number, batch: Batch): Promise<Head> {
    const random = this.#sim.random('disk');
    const ms = this.#sim.fault('disk-slow') ? random.integer(50, 3000) : random.integer(0, 3);
    const now = this.#sim.now();
    this.#busyUntil = Math.max(now, this.#busyUntil) + ms;
    return new Promise((resolve, reject) => {
      this.#process.plan(this.#busyUntil - now, () => {
        if (this.#sim.fault('disk-full')) this.#refuse(owner);
        if (this.#refused?.owner === owner) return reject(this.#refused.fault);
        this.disk.apply(batch);
        resolve(this.disk.ledger.lastHead);
      });
    });
  }

  #refuse(owner: number): void {
    this.#sim.trace(() => `the disk of partition ${this.#partition} is full`);
    this.#refused = { owner, fault: new Fault('LEDGER_FULL', 'simulated: no space left on device', '') };
  }
}
