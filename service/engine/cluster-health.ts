import type { Time } from '../../engine/time.ts';
import type { Fault } from '../../events/fault.ts';
import { ledgerLag } from './cluster-lag.ts';
import type { ClusterParts } from './cluster-parts.ts';
import { notReady, stopping } from './engine.ts';
import { notJoined } from './outcomes.ts';

/** Computes why an instance is not ready, and how old its reads are. */

/** The instance is not ready if its replicas are older than this. */
const SILENT_MS = 15_000;

type HealthParts = Pick<ClusterParts, 'ledger' | 'reads' | 'inputs' | 'membership' | 'stopping'>;

export class ClusterHealth {
  readonly #parts: HealthParts;
  readonly #time: Time;
  readonly #openedAt: number;

  constructor(parts: HealthParts, time: Time) {
    this.#parts = parts;
    this.#time = time;
    this.#openedAt = time.now();
  }

  /** Why the instance is not ready; null if it is ready. */
  get fault(): Fault | null {
    const { membership, stopping: signal } = this.#parts;
    if (signal.aborted) return stopping();
    const damage = this.#replicaDamage;
    if (damage !== null) return damage;
    if (!this.isCopied) return notReady('the ledger is being read');
    if (membership.absence !== null) return notJoined(membership.absence);
    return this.#ownershipFault ?? membership.declined ?? this.#staleness;
  }

  /** Returns whether every partition's replica has been up to date at least once since the start. */
  get isCopied(): boolean {
    const now = this.#time.now();
    return this.#parts.reads.every(({ partition }) => this.#parts.inputs.isCopied(partition, now));
  }

  /** The age of the oldest replica in milliseconds. */
  get ageMs(): number {
    const now = this.#time.now();
    const { ledger, reads } = this.#parts;
    return Math.max(...reads.map(({ partition }) => ledger.ageMs(partition, now) ?? now - this.#openedAt));
  }

  get #replicaDamage(): Fault | null {
    const { ledger, reads } = this.#parts;
    const faults = reads.map(({ partition }) => ledger.replica(partition).fault);
    return faults.find((fault) => fault !== null) ?? null;
  }

  get #ownershipFault(): Fault | null {
    const ownerships = [...this.#parts.membership.ownerships.values()];
    return ownerships.find(({ fault }) => fault !== null)?.fault ?? null;
  }

  get #staleness(): Fault | null {
    if (this.ageMs <= SILENT_MS) return null;
    const isBehind = ledgerLag(this.#parts).some(({ records }) => records > 0);
    return notReady(isBehind ? 'its copy of the ledger is far behind' : 'the brokers do not answer');
  }
}
