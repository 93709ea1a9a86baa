import { z } from 'zod';
import { StepKind } from './attempt.ts';
import { Domain } from './inputs.ts';
import { Host, LockMode, MigrationId, Milliseconds } from './vocabulary.ts';

/** What leaves Landfall: questions to agents, and commands to agents and to the orchestrator. */

/** A question about one VM to one host. It is answered by `landfall.host.answered.v1` with the same id. */
export const Question = z.strictObject({
  question: z.string(),
  migration: MigrationId,
  vm: z.string(),
  host: Host,
  askedAt: Milliseconds,
  /** When its answer becomes `unknown`. An answer that comes later still counts, where no newer one is known. */
  dueAt: Milliseconds,
});
export type Question = z.infer<typeof Question>;

/** A command, at least once by its id: the receiver remembers ids and does each once. */
export const Command = z.strictObject({
  command: z.string(),
  kind: StepKind,
  migration: MigrationId,
  vm: z.string(),
  /** The host whose agent carries it out; null: the orchestrator. */
  host: Host.nullable(),
  volume: z.string().nullable(),
  mode: LockMode.nullable(),
  /** Fencing token: an agent refuses a command with a lower one than it has seen for this VM and volume. */
  token: z.number().int().nonnegative(),
  /** Listeners of a contested rollback touch no lock, volume or shell. */
  contested: z.boolean(),
  error: z.string().nullable(),
  /** Conditions the receiver checks itself, at the moment of acting. */
  onlyIf: z.array(z.enum(['no-opener', 'paused', 'same-boot'])),
  /** The boot of the host that `same-boot` means; null: not known, and the receiver cannot hold it to one. */
  boot: z.string().nullable(),
  /** Counts the sendings of this command from 1. */
  try: z.number().int().positive(),
});
export type Command = z.infer<typeof Command>;

/** One host's listing, as an agent takes it: the answer to every question that it had received before it began. */
export const Listing = z.strictObject({
  host: Host,
  boot: z.string().optional(),
  /** `ok: false`: the listing failed or is incomplete, and proves nothing. */
  ok: z.boolean(),
  error: z.string().optional(),
  domains: z.record(z.string(), Domain),
  /** UUIDs for which a QEMU process runs there. Absent: processes cannot be seen. */
  processes: z.array(z.string()).optional(),
});
export type Listing = z.infer<typeof Listing>;
