import type { AttemptState } from '../../events/attempt.ts';
import type { Configuration } from '../../events/configuration.ts';
import type { Timers } from '../../events/entries.ts';
import type { HostRecord, VmRecord } from '../../events/records.ts';

/** An open attempt's timers, the clock they fire on, and the hosts at its ends. */
type Deadlines = { migration: string; clock: string; ends: readonly string[]; timers: Timers };

/**
 * What a partition looks up of its own past: the read model of the committed ledger, as of the head that was claimed. Settled
 * attempts and quiet VMs are read here when they matter again, and cost no memory before.
 */
export interface Directory {
  record(vm: string): VmRecord | null;
  attempt(migration: string): { state: AttemptState; timers: Timers } | null;
  /** Every attempt that is not settled, as far as its deadlines go. */
  deadlines(): Iterable<Deadlines>;
  hosts(): Iterable<HostRecord>;
  configuration(): Configuration;
  /** The last entry's time on each clock, in milliseconds. */
  times(): Iterable<readonly [clock: string, time: number]>;
}
