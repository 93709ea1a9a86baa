import type { VmRecord } from '../events/records.ts';
import type { Holder, LockMode, Power, Volume } from '../events/vocabulary.ts';
import { NO_HOST } from '../machines/leases.ts';

/** Compares the desired and the observed owner of each volume lock, independently of the host of the guest. */

export type LockStatus = {
  volume: string;
  /** The host of the only observed exclusive holder; null if there is none or more than one. */
  owner: string | null;
  mode: LockMode | null;
  desiredOwner: string | null;
  /** False if neither the lock manager nor an acknowledged lock command has shown the lock yet. */
  observed: boolean;
  agrees: boolean;
  /** The host of a copied volume, and whether the guest uses this copy (null while that is open); absent for other volumes. */
  copy?: { host: string; current: boolean | null } | undefined;
};

type Known = Pick<VmRecord, 'volumes' | 'holders' | 'owner' | 'power' | 'open' | 'copies'>;

/** Returns the declared volumes first, then other copies of them, then volumes that were only observed. */
export function locksOf(record: Known): LockStatus[] {
  const { copies = [] } = record;
  const declared = new Set(record.volumes.map(({ volume }) => volume));
  const other = copies.filter(({ volume }) => !declared.has(volume));
  const known = new Set([...declared, ...other.map(({ volume }) => volume)]);
  const observed = Object.keys(record.holders)
    .filter((volume) => !known.has(volume))
    .map(unmanaged);
  return [
    ...record.volumes.map((volume) => withCopy(lockOf(volume, record), copies)),
    ...other.map(({ volume }) => withCopy(ofOtherCopy(lockOf(unmanaged(volume), record)), copies)),
    ...observed.map((volume) => lockOf(volume, record)),
  ];
}

const unmanaged = (volume: string): Volume => ({ volume, shareable: false, lockedBy: 'landfall' });

function withCopy(lock: LockStatus, copies: NonNullable<Known['copies']>): LockStatus {
  const copy = copies.find(({ volume }) => volume === lock.volume);
  return copy === undefined ? lock : { ...lock, copy: { host: copy.host, current: copy.current } };
}

/** The lock of a copy that the guest does not use should be free. */
function ofOtherCopy(lock: LockStatus): LockStatus {
  return { ...lock, desiredOwner: null, agrees: lock.mode === null };
}

function lockOf(volume: Volume, record: Known): LockStatus {
  // A volume name may equal an inherited member of objects, such as "constructor".
  const holders = Object.hasOwn(record.holders, volume.volume) ? (record.holders[volume.volume] ?? null) : null;
  return {
    volume: volume.volume,
    owner: ownerOf(holders ?? []),
    mode: modeOf(holders ?? []),
    desiredOwner: volume.shareable ? null : record.owner,
    observed: holders !== null,
    agrees: agrees(volume, holders, record),
  };
}

function ownerOf(holders: readonly Holder[]): string | null {
  const exclusive = holders.filter((holder) => holder.mode === 'exclusive');
  const [only] = exclusive;
  return exclusive.length === 1 && only !== undefined && only.host !== NO_HOST ? only.host : null;
}

function modeOf(holders: readonly Holder[]): LockMode | null {
  if (holders.length === 0) return null;
  return holders.some((holder) => holder.mode === 'exclusive') ? 'exclusive' : 'shared';
}

/** `holders` is null if the lock was never observed, which does not count as agreement. */
function agrees(volume: Volume, holders: readonly Holder[] | null, { owner, power, open }: Known): boolean {
  if (volume.shareable) return true;
  if (holders === null || owner === null) return false;
  const [only] = holders;
  if (only === undefined) return volume.lockedBy === 'hypervisor' && (holdsNoLease(power) || open.length > 0);
  return holders.length === 1 && only.mode === 'exclusive' && only.host === owner && owner !== NO_HOST;
}

/** virtlockd and sanlock under libvirt release the lease while the CPUs of the guest are stopped. */
function holdsNoLease(power: Power): boolean {
  return power === 'paused' || power === 'stopped';
}
