import type { VmRecord } from '../events/records.ts';
import type { Holder, LockMode, Power, Volume } from '../events/vocabulary.ts';

/** Whether who should hold a volume's lock is who was seen to hold it. Locks are a question apart from where the guest is. */

export type LockStatus = {
  volume: string;
  /** The host of the one exclusive holder that was observed. */
  owner: string | null;
  mode: LockMode | null;
  desiredOwner: string | null;
  agrees: boolean;
};

/** How an agent names a process that is no known host's: it holds the lease, and is nobody's owner. */
const NO_HOST = 'other';

type Known = Pick<VmRecord, 'volumes' | 'holders' | 'owner' | 'power' | 'open'>;

/** Every declared volume, then those that were only ever observed. */
export function locksOf(record: Known): LockStatus[] {
  const declared = new Set(record.volumes.map(({ volume }) => volume));
  const observed = Object.keys(record.holders)
    .filter((volume) => !declared.has(volume))
    .map((volume): Volume => ({ volume, shareable: false, lockedBy: 'landfall' }));
  return [...record.volumes, ...observed].map((volume) => lockOf(volume, record));
}

function lockOf(volume: Volume, record: Known): LockStatus {
  // A volume may have the name of anything, also of a member that every object inherits.
  const holders = Object.hasOwn(record.holders, volume.volume) ? (record.holders[volume.volume] ?? null) : null;
  return {
    volume: volume.volume,
    owner: ownerOf(holders ?? []),
    mode: modeOf(holders ?? []),
    desiredOwner: volume.shareable ? null : record.owner,
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

/** `holders` null: never observed, and nothing known is not agreement. */
function agrees(volume: Volume, holders: readonly Holder[] | null, { owner, power, open }: Known): boolean {
  if (volume.shareable) return true;
  if (holders === null || owner === null) return false;
  const [only] = holders;
  if (only === undefined) return volume.lockedBy === 'hypervisor' && (holdsNoLease(power) || open.length > 0);
  return holders.length === 1 && only.mode === 'exclusive' && only.host === owner && owner !== NO_HOST;
}

/** virtlockd and sanlock under libvirt give the lease up while a guest's CPUs are stopped. */
function holdsNoLease(power: Power): boolean {
  return power === 'paused' || power === 'stopped';
}
