import { z } from 'zod';
import { Certainty, Holder, Host, MigrationId, Power, Volume } from './vocabulary.ts';

/** What is recorded of one VM beyond its attempts. Kept in every entry that changed it. */
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
  /** The host that should hold the VM's exclusive locks; null: not known. */
  owner: Host.nullable(),
  /** Other hosts that a lock may have been left on, or taken on, when the guest went elsewhere without Landfall. Absent: none. */
  leftLocks: z.array(Host).optional(),
  /** Observed holders by volume. A volume that was never observed is not listed. */
  holders: z.record(z.string(), z.array(Holder)),
  /** The last fencing token given out for this VM. */
  token: z.number().int().nonnegative(),
  /** Attempts that are not settled, oldest first. */
  open: z.array(MigrationId),
  /** The newest attempt, settled or not. */
  lastMigration: MigrationId.nullable(),
});
export type VmRecord = z.infer<typeof VmRecord>;

/** What is recorded of one host. */
export const HostRecord = z.strictObject({
  host: Host,
  /** The clock of the world it belongs to. */
  clock: z.string(),
  zone: z.string().nullable(),
  cluster: z.string().nullable(),
  boot: z.string().nullable(),
  stream: z.enum(['connected', 'lost']),
  agent: z.enum(['speaking', 'silent']),
});
export type HostRecord = z.infer<typeof HostRecord>;
