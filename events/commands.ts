import { z } from 'zod';
import { StepKind } from './attempt.ts';
import { Domain } from './inputs.ts';
import { Notice } from './verdict.ts';
import { Host, LockMode, MigrationId, Milliseconds } from './vocabulary.ts';

/** Outgoing records: questions to agents, and commands to agents and the orchestrator. */

/** A question about one VM to one host. The agent answers with `landfall.host.answered.v1` and the same question id. */
export const Question = z.strictObject({
  question: z.string().describe('The id of the question. The answer repeats it.'),
  migration: MigrationId.describe('The id of the attempt that asks.'),
  vm: z.string().describe('The UUID of the VM.'),
  host: Host.describe('The host that must answer.'),
  askedAt: Milliseconds.describe('The time of the question, in milliseconds since the Unix epoch.'),
  dueAt: Milliseconds.describe(
    'The time at which a missing answer becomes `unknown`, in milliseconds since the Unix epoch. A later answer still counts if no newer question was answered.',
  ),
});
export type Question = z.infer<typeof Question>;

/** A command is delivered at least once. The receiver remembers command ids and executes each command once. */
export const Command = z.strictObject({
  command: z.string().describe('The id of the command. Every repetition and the acknowledgement have the same id.'),
  kind: StepKind.describe('The work to do. docs/agents.md describes each kind.'),
  migration: MigrationId.describe('The id of the attempt.'),
  vm: z.string().describe('The UUID of the VM.'),
  host: Host.nullable().describe('The host whose agent executes the command; null for commands to the orchestrator.'),
  volume: z.string().nullable().describe('The volume of a lock command; null for other commands.'),
  mode: LockMode.nullable().describe('The mode in which to acquire a lock; null for other commands.'),
  token: z
    .number()
    .int()
    .nonnegative()
    .describe(
      'The fencing token. An agent refuses a command whose token is lower than the highest one it has seen for this VM and volume.',
    ),
  contested: z
    .boolean()
    .describe('True for a contested verdict. Receivers must then leave locks, volumes and shells as they are.'),
  error: z.string().nullable().describe('The error for the caller of the migration; null if the call succeeded.'),
  notices: z
    .array(Notice)
    .optional()
    .describe('Findings for the orchestrator, such as a changed power; absent if there are none.'),
  onlyIf: z
    .array(z.enum(['no-opener', 'paused', 'same-boot']).describe('One condition.'))
    .describe('Conditions that the receiver must check immediately before it executes the command.'),
  boot: z
    .string()
    .nullable()
    .describe(
      'The boot id that the condition `same-boot` requires; null if unknown, and the condition is then not checked.',
    ),
  try: z.number().int().positive().describe('The number of times that the command was sent, starting at 1.'),
});
export type Command = z.infer<typeof Command>;

/** A complete listing of one host. The listing answers every question that the agent received before the listing began. */
export const Listing = z.strictObject({
  host: Host.describe('The host of the listing.'),
  boot: z.string().optional().describe('The id of the current boot of the host; absent if unknown.'),
  ok: z.boolean().describe('False if the listing failed or is incomplete; it then proves no absence.'),
  error: z.string().optional().describe('The reason of a failed or incomplete listing.'),
  domains: z.record(z.string(), Domain).describe('The domains of the host by UUID.'),
  processes: z
    .array(z.string().describe('One UUID.'))
    .optional()
    .describe('UUIDs of the QEMU processes on the host; absent if the agent cannot see processes.'),
});
export type Listing = z.infer<typeof Listing>;
