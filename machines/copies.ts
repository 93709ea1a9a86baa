import type { Attempt } from '../events/attempt.ts';
import type { VmRecord } from '../events/records.ts';
import type { Verdict } from '../events/verdict.ts';
import type { Volume } from '../events/vocabulary.ts';

/**
 * Volumes of a migration that copies storage. Source and destination then have volumes of their own, whose locks never leave their
 * host. A volume that both hosts name is one volume on shared storage.
 */

type Place = {
  readonly volume: Volume;
  /** The only host that can use the volume; null if several hosts can. */
  readonly on: string | null;
};

const has = (volumes: readonly Volume[], { volume }: Volume) => volumes.some((other) => other.volume === volume);

/** Returns the volumes of both hosts. Without the names of the destination's volumes, each volume may be a shared one. */
export function placesOf({ volumes, storageCopied, destinationVolumes, source, destination }: Attempt): Place[] {
  if (!storageCopied || destinationVolumes === undefined) return volumes.map((volume) => ({ volume, on: null }));
  const own = volumes.map((volume) => ({
    volume,
    on: volume.shareable || has(destinationVolumes, volume) ? null : source,
  }));
  const copies = destinationVolumes.filter((volume) => !has(volumes, volume));
  return [...own, ...copies.map((volume) => ({ volume, on: volume.shareable ? null : destination }))];
}

/**
 * Returns whether the locks of the source's volumes are taken on this host. A destination whose volumes are unknown may not have
 * them.
 */
export function takesLocks({ storageCopied, destinationVolumes, source }: Attempt, host: string): boolean {
  return !storageCopied || destinationVolumes !== undefined || host === source;
}

/** Returns whether the lock of a volume can be on this host. */
export function canHold(attempt: Attempt, volume: string, host: string): boolean {
  const place = placesOf(attempt).find((candidate) => candidate.volume.volume === volume);
  return place === undefined || place.on === null || place.on === host;
}

/**
 * Returns the record with both copies of each copied volume, and with the volumes that the guest uses after this verdict. While no
 * verdict is proven, both copies are kept and none is called current.
 */
export function withCopies(record: VmRecord, attempt: Attempt, verdict: Verdict | null): VmRecord {
  const { storageCopied, destinationVolumes, volumes, source, destination } = attempt;
  const { copies: _, ...plain } = record;
  if (!storageCopied || destinationVolumes === undefined) return record.copies === undefined ? record : plain;
  const places = placesOf(attempt).filter(({ on }) => on !== null);
  const isOpen = verdict !== null && (verdict.contested || verdict.certainty !== 'proven');
  const host = verdict === null ? source : verdict.host;
  const copies = places.map(({ volume, on }) => ({
    volume: volume.volume,
    host: on ?? source,
    current: isOpen ? null : on === host,
  }));
  const shared = volumes.filter((volume) => volume.shareable && !has(destinationVolumes, volume));
  const used = host === destination ? [...destinationVolumes, ...shared] : volumes;
  return { ...plain, ...(isOpen ? {} : { volumes: used }), ...(copies.length === 0 ? {} : { copies }) };
}
