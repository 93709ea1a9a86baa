import type { AttemptState } from '../events/attempt.ts';
import type { Configuration } from '../events/configuration.ts';
import type { Timers } from '../events/entries.ts';
import type { HostRecord, VmRecord } from '../events/records.ts';

/** An attempt as the ledger last recorded it. */
type StoredAttempt = { readonly state: AttemptState; readonly timers: Timers };

/** The timers of an unsettled attempt, the clock they fire on, and its source and destination host. */
export type Deadlines = {
  readonly migration: string;
  readonly clock: string;
  readonly ends: readonly string[];
  readonly timers: Timers;
};

/**
 * Reads of one partition's past, as of its last committed entry. The partition looks up settled attempts and idle VMs here
 * when an input needs them, so they use no memory otherwise. Each store of projections implements this port once.
 */
export interface Directory {
  record(vm: string): VmRecord | null;
  attempt(migration: string): StoredAttempt | null;
  /** Returns the deadlines of every attempt that is not settled. */
  deadlines(): Iterable<Deadlines>;
  hosts(): Iterable<HostRecord>;
  configuration(): Configuration;
  /** Returns the time of the last entry on each clock, in milliseconds. */
  times(): Iterable<readonly [clock: string, time: number]>;
}
