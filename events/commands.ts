import { z } from 'zod';
import { StepKind } from './attempt.ts';
import { Domain } from './inputs.ts';
import { Notice } from './verdict.ts';
import { Host, LockMode, MigrationId, Milliseconds } from './vocabulary.ts';

/** Outgoing records: questions to agents, and commands to agents and the orchestrator. */

/** A question about one VM to one host. The agent answers with `landfall.host.answered.v1` and the same question id. */
export const Question = z.strictObject({
  question: z.string(),
  migration: MigrationId,
  vm: z.string(),
  host: Host,
  askedAt: Milliseconds,
  /** When a missing answer becomes `unknown`. A later answer still counts if no newer question was answered. */
  dueAt: Milliseconds,
});
export type Question = z.infer<typeof Question>;

/** A command is delivered at least once. The receiver remembers command ids and executes each command once. */
export const Command = z.strictObject({
  command: z.string(),
  kind: StepKind,
  migration: MigrationId,
  vm: z.string(),
  /** The host whose agent executes the command; null for commands to the orchestrator. */
  host: Host.nullable(),
  volume: z.string().nullable(),
  mode: LockMode.nullable(),
  /** Fencing token. An agent refuses a command whose token is lower than the highest it has seen for this VM and volume. */
  token: z.number().int().nonnegative(),
  /** True for a contested verdict. Receivers must then leave locks, volumes and shells as they are. */
  contested: z.boolean(),
  error: z.string().nullable(),
  /** Findings for the orchestrator, such as a changed power; absent if there are none. Only its own commands carry them. */
  notices: z.array(Notice).optional(),
  /** Conditions that the receiver must check immediately before it executes the command. */
  onlyIf: z.array(z.enum(['no-opener', 'paused', 'same-boot'])),
  /** The boot id that the condition `same-boot` requires; null if unknown, and the condition is then not checked. */
  boot: z.string().nullable(),
  /** Counts how often this command was sent, starting at 1. */
  try: z.number().int().positive(),
});
export type Command = z.infer<typeof Command>;

/** A complete listing of one host. The listing answers every question that the agent received before the listing began. */
export const Listing = z.strictObject({
  host: Host,
  boot: z.string().optional(),
  /** False if the listing failed or is incomplete; it then proves no absence. */
  ok: z.boolean(),
  error: z.string().optional(),
  domains: z.record(z.string(), Domain),
  /** UUIDs of the QEMU processes on the host; absent if the agent cannot see processes. */
  processes: z.array(z.string()).optional(),
});
export type Listing = z.infer<typeof Listing>;
