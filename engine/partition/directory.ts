import type { AttemptState } from '../../events/attempt.ts';
import type { Configuration } from '../../events/configuration.ts';
import type { Timers } from '../../events/entries.ts';
import type { HostRecord, VmRecord } from '../../events/records.ts';

/** The timers of an open attempt, their clock, and the hosts at both ends. */
type Deadlines = { migration: string; clock: string; ends: readonly string[]; timers: Timers };

/**
 * The read model from which a partition loads its past: attempts, VM records, hosts and configuration of the committed ledger.
 * Settled attempts are loaded on demand, so they cost no memory.
 */
export interface Directory {
  record(vm: string): VmRecord | null;
  attempt(migration: string): { state: AttemptState; timers: Timers } | null;
  /** The deadlines of every attempt that is not settled. */
  deadlines(): Iterable<Deadlines>;
  hosts(): Iterable<HostRecord>;
  configuration(): Configuration;
  /** The time of the last entry on each clock, in milliseconds since 1970. */
  times(): Iterable<readonly [clock: string, time: number]>;
}
