import { z } from 'zod';

/**
 * The vocabulary shared by inputs, entries and the verdict table. Terms follow libvirt if libvirt has one.
 */

/**
 * A lone surrogate would be stored as another character and never be found again, so only well-formed Unicode is accepted.
 */
const Name = z
  .string()
  .min(1)
  .max(255)
  .refine((name) => name.isWellFormed(), 'must be well-formed Unicode');
/**
 * A host's name as its agent registers it. Host names are object keys, and the key `__proto__` has a special meaning in
 * JavaScript.
 */
export const Host = Name.refine((name) => name !== '__proto__', 'is reserved: choose another host name');
/** A domain's UUID, in lower case. */
export const VmId = z.guid().transform((uuid) => uuid.toLowerCase());
export const MigrationId = Name;
/** Milliseconds since the Unix epoch, in the world that the entry's clock names. */
export const Milliseconds = z.number().int().nonnegative();

/**
 * The presence of a VM on a host; docs/verdicts.md explains each value. `unknown` never counts as `absent` (invariant 2).
 */
export const presences = [
  'absent',
  'off',
  'handed-over',
  'executing',
  'suspended',
  'broken',
  'incoming',
  'switching',
  'postcopy',
  'postcopy-failed',
  'unknown',
] as const;
export const Presence = z.enum(presences);
export type Presence = z.infer<typeof Presence>;

/** The migration job that a host reports for a VM. */
export const jobs = ['outgoing', 'incoming', 'none', 'unknown'] as const;
export const Job = z.enum(jobs);
export type Job = z.infer<typeof Job>;

/** True if the destination's CPUs ran in this attempt. */
export const rans = ['yes', 'no', 'maybe'] as const;
export const Ran = z.enum(rans);
export type Ran = z.infer<typeof Ran>;

/** A guest's power state. `lost` means that its memory was lost or split during the transfer. */
export const Power = z.enum(['running', 'paused', 'stopped', 'broken', 'lost', 'unknown']);
export type Power = z.infer<typeof Power>;

export const Certainty = z.enum(['proven', 'provisional', 'unknown']);
export type Certainty = z.infer<typeof Certainty>;

export const LockMode = z.enum(['exclusive', 'shared']);
export type LockMode = z.infer<typeof LockMode>;

/** A holder of a volume's lease, as the lock manager reports it. */
export const Holder = z.strictObject({
  host: Host.describe('The host that holds the lease; `other` for a process that belongs to no known host.'),
  mode: LockMode.describe('The mode of the lease.'),
});
export type Holder = z.infer<typeof Holder>;

/**
 * A volume of a VM. Landfall sends no commands for `shareable` volumes. `lockedBy` names the owner of the lease: `hypervisor`
 * (virtlockd or sanlock under libvirt; Landfall only observes) or `landfall` (Landfall sends lock commands).
 */
export const Volume = z.strictObject({
  volume: z.string().min(1).max(1024).describe('The name of the volume.'),
  shareable: z
    .boolean()
    .default(false)
    .describe('True if several hosts may use the volume at once: Landfall sends no lock commands for it.'),
  lockedBy: z
    .enum(['hypervisor', 'landfall'])
    .default('landfall')
    .describe(
      'The party that moves the lease: `landfall` by lock commands, or `hypervisor` (virtlockd or sanlock under libvirt), which Landfall only observes.',
    ),
});
export type Volume = z.infer<typeof Volume>;

/** The five top-level states of a migration attempt. */
export const states = ['Migrating', 'ApiFailed', 'Rechecking', 'Completed', 'RolledBack'] as const;
export const State = z.enum(states);
export type State = z.infer<typeof State>;

/** The words of people for the status of an attempt; `machines/status-words.ts` derives them from state and verdict. */
export const Status = z.enum(['migrating', 'undecided', 'completed', 'provisional', 'rolled back', 'contested']);
export type Status = z.infer<typeof Status>;

/** The clock names the world an input belongs to: `wall` for the live site, one recording, or one simulation. */
export const Clock = z
  .string()
  .regex(/^(wall|recorded:.+|simulated:.+)$/, 'must be wall, recorded:NAME or simulated:NAME');
export const WALL = 'wall';
