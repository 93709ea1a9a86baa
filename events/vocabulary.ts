import { z } from 'zod';

/**
 * The words that inputs, entries and the verdict table share. Terms are libvirt's where libvirt has one.
 */

/** Well-formed Unicode only: a lone surrogate is stored as another character, and would not be found again. */
const Name = z
  .string()
  .min(1)
  .max(255)
  .refine((name) => name.isWellFormed(), 'is no well-formed Unicode');
/** A host's name as its agent registers it. Hosts are keys of records, where this one name means something else to JavaScript. */
export const Host = Name.refine((name) => name !== '__proto__', 'is not a name for a host');
/** A domain's UUID, in lower case. */
export const VmId = z.guid().transform((uuid) => uuid.toLowerCase());
export const MigrationId = Name;
/** Milliseconds since the Unix epoch, on the clock that the entry names. */
export const Milliseconds = z.number().int().nonnegative();

/** What a host can say of a VM; docs/verdicts.md explains each. Unknown is never the same as absent. */
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

/** The migration job a host reports for a VM. */
export const jobs = ['outgoing', 'incoming', 'none', 'unknown'] as const;
export const Job = z.enum(jobs);
export type Job = z.infer<typeof Job>;

/** Whether the destination's CPUs ever ran in this attempt. */
export const rans = ['yes', 'no', 'maybe'] as const;
export const Ran = z.enum(rans);
export type Ran = z.infer<typeof Ran>;

/** A guest's power state as Landfall records it. `lost`: its memory is torn or gone in transit. */
export const Power = z.enum(['running', 'paused', 'stopped', 'broken', 'lost', 'unknown']);
export type Power = z.infer<typeof Power>;

export const Certainty = z.enum(['proven', 'provisional', 'unknown']);
export type Certainty = z.infer<typeof Certainty>;

export const LockMode = z.enum(['exclusive', 'shared']);
export type LockMode = z.infer<typeof LockMode>;

/** One holder of a volume's lease, as its lock manager reports it. */
export const Holder = z.strictObject({ host: Host, mode: LockMode });
export type Holder = z.infer<typeof Holder>;

/**
 * A volume of a VM. `shareable` volumes are left alone. `lockedBy` says who moves the lease at a switch-over: `hypervisor`
 * (virtlockd, sanlock under libvirt: Landfall observes and sends nothing) or `landfall` (Landfall sends lock commands).
 */
export const Volume = z.strictObject({
  volume: z.string().min(1).max(1024),
  shareable: z.boolean().default(false),
  lockedBy: z.enum(['hypervisor', 'landfall']).default('landfall'),
});
export type Volume = z.infer<typeof Volume>;

/** The five top-level states of a migration attempt. */
export const states = ['Migrating', 'ApiFailed', 'Rechecking', 'Completed', 'RolledBack'] as const;
export const State = z.enum(states);
export type State = z.infer<typeof State>;

/** Where a timer may fire: on the wall clock, on one recording's, or on a simulation's. */
export const Clock = z
  .string()
  .regex(/^(wall|recorded:.+|simulated:.+)$/, 'must be wall, recorded:NAME or simulated:NAME');
export const WALL = 'wall';
