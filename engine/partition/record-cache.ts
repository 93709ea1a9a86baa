import type { VmRecord } from '../../events/records.ts';
import { unknownVm } from '../../machines/vm.ts';
import type { Directory } from '../../log/directory.ts';

/** The VM records of a partition: cached until they are durable, and after that while there is room. */
export class RecordCache {
  readonly #directory: Directory;
  readonly #limit: number;
  readonly #records = new Map<string, VmRecord>();
  /** VMs whose record changed since their last entry. */
  readonly #changed = new Set<string>();
  /** The batch of each VM's last entry. The directory has the record once that batch is durable. */
  readonly #epochs = new Map<string, number>();

  /** @param limit the number of durable records that stay in memory. */
  constructor(directory: Directory, limit: number) {
    this.#directory = directory;
    this.#limit = limit;
  }

  /** The number of records in memory. */
  get cachedCount(): number {
    return this.#records.size;
  }

  get(vm: string): VmRecord {
    const record = this.#records.get(vm) ?? this.#directory.record(vm) ?? unknownVm(vm);
    this.#records.set(vm, record);
    return record;
  }

  /** Stores a changed record, which is written with the VM's next entry. */
  set(record: VmRecord): void {
    if (this.#records.get(record.vm) === record) return;
    this.#records.set(record.vm, record);
    this.#changed.add(record.vm);
  }

  /** Returns the record for the VM's entry in this batch; null if the record has not changed. */
  write(vm: string, epoch: number): VmRecord | null {
    this.#epochs.set(vm, epoch);
    return this.#changed.delete(vm) ? this.get(vm) : null;
  }

  /** Called when a batch is durable: the record may then be evicted, unless a later batch has an entry of the VM. */
  committed(vm: string, epoch: number): void {
    if (this.#epochs.get(vm) === epoch) this.#epochs.delete(vm);
  }

  /** Evicts the oldest durable records. */
  evict(): void {
    if (this.#records.size <= this.#limit) return;
    for (const vm of this.#records.keys()) {
      if (this.#records.size <= this.#limit) return;
      if (!this.#epochs.has(vm) && !this.#changed.has(vm)) this.#records.delete(vm);
    }
  }
}
