import type { Attempt } from '../events/attempt.ts';
import type { VmRecord } from '../events/records.ts';
import type { Evidence } from '../events/verdict.ts';
import { isFenced } from './fencing.ts';

/**
 * Leases of the VM's volumes as the hypervisor's lock manager reports them. libvirt takes a lease before it starts the CPUs and
 * gives it up when they stop, so a lease is evidence about the place of the guest. Leases that Landfall moves prove nothing,
 * because they follow its own commands. Shareable volumes have no exclusive lease.
 */

/** The name that agents report for a holder that is none of the known hosts. */
export const NO_HOST = 'other';
/** A decision that contradicts a lease is contested after this many later rounds with the same result. */
const DISAGREEING_ROUNDS = 2;
/** A guest that runs without a lease is asked about once more: the report of the lease may be late. */
const MISSING_ROUNDS = 1;

export type Leases = NonNullable<Attempt['leases']>;

/** Returns the exclusive holders of each volume whose lease the hypervisor moves and the lock manager has reported. */
export function leasesOf({ volumes, holders }: Pick<VmRecord, 'volumes' | 'holders'>): Leases {
  const observed = volumes.filter(
    ({ volume, shareable, lockedBy }) => !shareable && lockedBy === 'hypervisor' && Object.hasOwn(holders, volume),
  );
  return Object.fromEntries(
    observed.map(({ volume }) => [
      volume,
      (holders[volume] ?? []).filter(({ mode }) => mode === 'exclusive').map(({ host }) => host),
    ]),
  );
}

export function sameLeases(one: Leases | undefined, other: Leases): boolean {
  return JSON.stringify(one ?? {}) === JSON.stringify(other);
}

/** Removes a lease that the lock manager reports as expired. */
export function withoutLease(attempt: Attempt, volume: string, host: string): Attempt {
  const { leases } = attempt;
  const held = leases !== undefined && Object.hasOwn(leases, volume) ? (leases[volume] ?? []) : [];
  if (!held.includes(host)) return attempt;
  return { ...attempt, leases: { ...leases, [volume]: held.filter((holder) => holder !== host) } };
}

/** Returns the volumes whose lease a process other than the guest on this host holds, so the guest cannot use them safely. */
export function volumesTaken(attempt: Attempt, host: string): string[] {
  const { leases = {} } = attempt;
  const isForeign = (holder: string) => holder !== host && !isFenced(attempt, holder);
  return Object.keys(leases).filter((volume) => leases[volume]?.some(isForeign) === true);
}

/** Returns the evidence about leases; nothing if the lock manager reported none of them. A fenced host holds no lease. */
export function leaseEvidence(
  { leases, leaseDoubt }: Pick<Attempt, 'leases' | 'leaseDoubt'>,
  isFenced: (host: string) => boolean,
): Pick<Evidence, 'leases'> {
  const volumes = Object.keys(leases ?? {});
  if (leases === undefined || volumes.length === 0) return {};
  const heldOn = new Set(Object.values(leases).flat());
  const free = volumes.filter((volume) => leases[volume]?.length === 0);
  return {
    leases: {
      heldOn: [...heldOn].filter((host) => host !== NO_HOST && !isFenced(host)).sort(),
      free,
      rounds: leaseDoubt?.rounds ?? 0,
    },
  };
}

/** `disagrees`: a host holds a lease although the guest is not there. `missing`: the guest runs, and its lease is free. */
export type LeaseFinding = 'disagrees' | 'missing';

/** Compares the leases with a decision that names this host. `presence` is the guest's presence there. */
export function leaseFinding(
  { leases }: Evidence,
  host: string,
  { isGone, isExecuting }: { isGone: boolean; isExecuting: boolean },
): LeaseFinding | null {
  if (leases === undefined) return null;
  // A stopped guest holds no lease anywhere.
  if (leases.heldOn.some((holder) => isGone || holder !== host)) return 'disagrees';
  return isExecuting && leases.free.length > 0 ? 'missing' : null;
}

/** Returns whether enough later rounds had the same result, so the finding need not be asked about again. */
export function isConfirmed(finding: LeaseFinding, { leases }: Evidence): boolean {
  return (leases?.rounds ?? 0) >= (finding === 'disagrees' ? DISAGREEING_ROUNDS : MISSING_ROUNDS);
}

/**
 * Counts a round whose answers a lease contradicts. Rounds closer together than the recheck interval count once, because a report
 * of the lock manager may be late.
 */
export function countLeaseRound(attempt: Attempt, finding: LeaseFinding | undefined, now: number): Attempt {
  const { leaseDoubt, configuration } = attempt;
  if (finding === undefined) return withoutLeaseDoubt(attempt);
  if (leaseDoubt?.finding !== finding) return { ...attempt, leaseDoubt: { finding, rounds: 1, countedAt: now } };
  if (now - leaseDoubt.countedAt < configuration.recheckIntervalSeconds * 1000) return attempt;
  return { ...attempt, leaseDoubt: { finding, rounds: leaseDoubt.rounds + 1, countedAt: now } };
}

function withoutLeaseDoubt(attempt: Attempt): Attempt {
  if (attempt.leaseDoubt === undefined) return attempt;
  const { leaseDoubt: _, ...rest } = attempt;
  return rest;
}
