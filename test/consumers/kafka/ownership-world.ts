import { toInput } from '../../../events/cloud-event.ts';
import type { Fault } from '../../../events/fault.ts';
import type { Fetched } from '../../../consumers/kafka/fetched-batch.ts';
import { PartitionOwnership } from '../../../consumers/kafka/partition-ownership.ts';
import { sha256 } from '../../../log/chain.ts';
import type { Batch, Head, Ledger, Owner, Progress } from '../../../log/port.ts';
import { vmOf } from '../../support/entries.ts';
import { HandTime, turns } from '../../support/hand-time.ts';
import { MemoryLedger } from '../../support/memory-ledger.ts';

/** The ownership of partition 0 over a ledger in memory; the test plays the group, the topic and the brokers. */

export const STREAM = 'inputs/0';
/** The checkpoint of an operator who declared that the topic was recreated. */
export const RECREATED = 'recreated';

export class OwnershipWorld {
  readonly time = new HandTime();
  readonly ledger: MemoryLedger;
  /** The offsets that the topic holds. */
  offsetRange = { low: 0, high: 0 };
  assignmentEpoch: number | null = 1;
  readonly inputPositions = new Map<string, number>();
  readonly checkpoints = new Map<string, number>();
  known: Progress = this;
  claims = 0;
  /** Commits that wait for `letGo`, while `isHolding` is true. */
  isHolding = false;
  readonly commits: PromiseWithResolvers<void>[] = [];
  readonly batches: Batch[] = [];
  readonly told: string[] = [];
  /** Reports that a newer owner has fenced this one. */
  overtake: (fault: Fault) => void = () => {};
  stopRelay: () => Promise<void> = async () => {};
  readonly ownership: PartitionOwnership;

  constructor(change: (world: OwnershipWorld) => void = () => {}, ledger = new MemoryLedger()) {
    this.ledger = ledger;
    change(this);
    this.ownership = this.#open();
  }

  /** Delivers inputs of these offsets, as one fetch from `from` on. */
  deliver(offsets: readonly number[], from = offsets[0] ?? 0, bytes = 100, ids = 'e'): boolean {
    const until = (offsets.at(-1) ?? from) + 1;
    this.offsetRange = { ...this.offsetRange, high: Math.max(this.offsetRange.high, until) };
    const items = offsets.map((offset) => ({
      item: { input: inputAt(offset, ids), at: { stream: this.ownership.stream, offset } },
      offset,
      bytes,
    }));
    const fetched: Fetched = { items, from, until, high: this.offsetRange.high };
    return this.ownership.deliver(fetched);
  }

  /** The offsets of the inputs in the ledger. */
  get decided(): (number | null | undefined)[] {
    return this.ledger.entries.map(({ cause }) => (cause.kind === 'timer' ? null : cause.offset));
  }

  letGo(fault?: Fault): void {
    for (const { resolve, reject } of this.commits.splice(0)) {
      if (fault === undefined) resolve();
      else reject(fault);
    }
  }

  #open(): PartitionOwnership {
    const { time, ledger } = this;
    return new PartitionOwnership({
      partition: 0,
      ledger: {
        ...this.#claimable(),
        head: () => ledger.head(),
        read: (...where) => ledger.read(...where),
        close: async () => {},
      },
      time,
      directory: () => ledger,
      knownProgress: () => this.known,
      assignmentEpoch: () => this.assignmentEpoch,
      inputs: {
        streamIn: (checkpoints) => (checkpoints.has(RECREATED) ? `${STREAM}#1` : STREAM),
        offsetRange: async () => this.offsetRange,
        seek: (offset) => void this.told.push(`from ${offset}`),
      },
      relay: {
        key: 'carried',
        start: () => ({ committed: () => {}, stop: () => this.stopRelay() }),
      },
      observer: {
        committed: () => {},
        ready: () => {},
        down: (_partition, { code }) => this.told.push(code),
      },
    });
  }

  #claimable(): Pick<Ledger, 'partitions' | 'claim'> {
    return {
      partitions: 1,
      claim: async (_partition, lost = () => {}): Promise<Owner> => {
        this.claims += 1;
        this.overtake = lost;
        const owner = await this.ledger.claim();
        return {
          ...owner,
          inputPositions: new Map(this.inputPositions),
          checkpoints: new Map(this.checkpoints),
          commit: (batch) => this.#commit(owner, batch),
        };
      },
    };
  }

  async #commit(owner: Owner, batch: Batch): Promise<Head> {
    if (this.isHolding) {
      const held = Promise.withResolvers<void>();
      this.commits.push(held);
      await held.promise;
    }
    this.batches.push(batch);
    for (const { stream, offset } of batch.inputPositions) this.inputPositions.set(stream, offset);
    for (const { key, value } of batch.checkpoints ?? []) this.checkpoints.set(key, value);
    return owner.commit(batch);
  }
}

export async function readyWorld(change?: (world: OwnershipWorld) => void): Promise<OwnershipWorld> {
  const world = new OwnershipWorld(change);
  await turns();
  return world;
}

function inputAt(offset: number, ids: string) {
  const event = {
    specversion: '1.0',
    source: 'test',
    id: `${ids}${offset}`,
    type: 'landfall.operator.acted.v1',
    subject: vmOf(offset % 7),
    data: { action: 'look', ok: true },
  };
  return toInput(event, sha256);
}
