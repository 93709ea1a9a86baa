import { z } from 'zod';
import { Certainty, Holder, Host, MigrationId, Power, Volume } from './vocabulary.ts';

/** The record of one VM. Every entry that changes the record contains it. */
export const VmRecord = z.strictObject({
  vm: z.string(),
  name: z.string().nullable(),
  host: Host.nullable(),
  lastHost: Host.nullable(),
  zone: z.string().nullable(),
  cluster: z.string().nullable(),
  certainty: Certainty,
  power: Power,
  volumes: z.array(Volume),
  /**
   * The copies of the VM's volumes after a migration that copied storage. `current` is true for the copy that the guest uses, and
   * null while no verdict is proven. Absent if no volume was copied.
   */
  copies: z.array(z.strictObject({ volume: z.string(), host: Host, current: z.boolean().nullable() })).optional(),
  /** The host that should hold the VM's exclusive locks; null if unknown. */
  owner: Host.nullable(),
  /** Other hosts that may hold a lock, because the guest moved without Landfall; absent if there are none. */
  leftLocks: z.array(Host).optional(),
  /**
   * Lock holders by volume, as the lock manager reported them or an acknowledged lock command showed them last. Volumes without an
   * observation are not listed.
   */
  holders: z.record(z.string(), z.array(Holder)),
  /** The highest fencing token issued for this VM. */
  token: z.number().int().nonnegative(),
  /** Ids of the unsettled attempts, oldest first. */
  open: z.array(MigrationId),
  /** Id of the newest attempt, open or settled. */
  lastMigration: MigrationId.nullable(),
});
export type VmRecord = z.infer<typeof VmRecord>;

/** The record of one host. */
export const HostRecord = z.strictObject({
  host: Host,
  /** The clock names the world that the host belongs to: `wall` for the live site, or one recording. */
  clock: z.string(),
  zone: z.string().nullable(),
  cluster: z.string().nullable(),
  boot: z.string().nullable(),
  stream: z.enum(['connected', 'lost']),
  agent: z.enum(['speaking', 'silent']),
  /** True after the host was fenced, until it returns: with another boot, or by a report of its agent. Absent otherwise. */
  fenced: z.boolean().optional(),
});
export type HostRecord = z.infer<typeof HostRecord>;
