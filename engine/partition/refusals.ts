import type { z } from 'zod';
import type { Attempt, AttemptState } from '../../events/attempt.ts';
import { Fault } from '../../events/fault.ts';
import { hostLacksGuest } from '../../events/resolution-faults.ts';
import type { Input, InputData } from '../../events/inputs.ts';
import type { HostRecord, VmRecord } from '../../events/records.ts';
import type { Verdict } from '../../events/verdict.ts';
import { path } from '../../machines/chart.ts';
import { executingHosts, lackOf, openStep } from '../../machines/resolution.ts';
import { statusOf, verdictPhrase } from '../../machines/status-words.ts';

/** The reasons to refuse an input. A refusal is stored in the ledger with the refused input. */
export const refusals = {
  identityConflict: (input: Pick<Input, 'source' | 'id'>) =>
    new Fault(
      'IDENTITY_CONFLICT',
      `source ${JSON.stringify(input.source)} used id ${JSON.stringify(input.id)} before, with different content`,
      'Give every event a unique id; a redelivery must repeat the event unchanged.',
    ),
  attemptOpen: (migration: string) =>
    new Fault(
      'ATTEMPT_OPEN',
      `attempt ${migration} of this VM is still open`,
      `Run landfall explain ${migration} to see what the attempt waits for.`,
    ),
  /** `host` is the recorded host of the VM. */
  alreadyRunning: ({ certainty, power }: VmRecord, host: string) =>
    new Fault(
      'ALREADY_RUNNING',
      power === 'unknown'
        ? `the guest left ${host} in a migration that was not reported, and may run on another host (certainty ${certainty})`
        : `the guest is ${power} on ${host} (certainty ${certainty})`,
      `A second start would give two hosts the same disks. If ${host} is down, fence it and report landfall.host.fenced.v1; if the guest is stopped, report landfall.vm.declared.v1.`,
    ),
  attemptExists: (migration: string) =>
    new Fault('ATTEMPT_EXISTS', `attempt ${migration} exists already`, 'Give every migration call a unique id.'),
  unknownAttempt: (migration: string) =>
    new Fault(
      'UNKNOWN_ATTEMPT',
      `no open attempt ${migration} of this VM is known`,
      'Report its start (landfall.migration.started.v1) first, with the same VM.',
    ),
  attemptSettled: ({ migration, verdicts }: Pick<Attempt, 'migration' | 'verdicts'>) => {
    const verdict = verdicts.at(-1);
    return new Fault(
      'ATTEMPT_SETTLED',
      `attempt ${migration} is settled${verdict === undefined ? '' : ` by ${outcomeText(verdict)}`}; this return differs from the reported one`,
      `The verdict stands. Run landfall explain ${migration} to see its evidence; use a new id for another call.`,
    );
  },
  unknownCommand: (command: string) =>
    new Fault(
      'UNKNOWN_COMMAND',
      `command ${JSON.stringify(command)} belongs to no attempt of this VM`,
      'Acknowledge with the id of the command, and with the VM as the subject.',
    ),
  unknownQuestion: (question: string) =>
    new Fault(
      'UNKNOWN_ATTEMPT',
      `question ${question} belongs to no known attempt of this VM`,
      'Answer with the id from the question.',
    ),
  tooManyVolumes: () =>
    new Fault(
      'TOO_MANY_VOLUMES',
      'the report names too many volumes that were not declared for this VM',
      'Declare the volumes of the VM (landfall.vm.declared.v1), or report only its own volumes.',
    ),
  badConfiguration: (error: z.ZodError) => {
    const issue = error.issues[0];
    return new Fault(
      'BAD_CONFIGURATION',
      `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'invalid'}`,
      'Run landfall config get to see the current settings.',
      error,
    );
  },
  /**
   * Returns null if an operator may settle the attempt so: the attempt is contested or provisional, the resolution is attested,
   * and no answer contradicts it. A single step can be settled in any state.
   */
  ofResolution: (
    { value, attempt }: AttemptState,
    data: InputData<'landfall.migration.resolved.v1'>,
    hosts: ReadonlyMap<string, HostRecord>,
  ): Fault | null => {
    const at = path(value);
    if (data.command !== undefined) return ofCommand(attempt, data.command, data.attest);
    if (at !== 'RolledBack.contested' && at !== 'Completed.provisional') {
      return new Fault(
        'NOT_CONTESTED',
        `attempt ${data.migration} is ${statusOf({ value, attempt })}: there is nothing to resolve`,
        'Only a contested or provisional attempt takes a resolution.',
      );
    }
    if (!data.attest) {
      return notAttested(
        'the resolution does not attest that the other side was checked',
        'Check that no other host runs the guest, then resolve with --attest.',
      );
    }
    return data.host === undefined ? ofStopped(attempt) : ofHost(attempt, data.host, hosts);
  },
};

/** Returns a short description of a verdict: number, outcome, row and certainty. */
function outcomeText(verdict: Verdict): string {
  return `verdict ${verdict.number}: ${verdictPhrase(verdict)} (row ${verdict.row}, ${verdict.certainty})`;
}

const notAttested = (message: string, remedy: string) => new Fault('NOT_ATTESTED', message, remedy);

function ofCommand(attempt: Attempt, command: string, attest: boolean): Fault | null {
  if (openStep(attempt, command) === undefined) {
    return new Fault(
      'STEP_NOT_OPEN',
      `attempt ${attempt.migration} has no open step ${JSON.stringify(command)}`,
      `Only a step that was sent and is not done can be settled. Run landfall explain ${attempt.migration} to see the steps.`,
    );
  }
  return attest
    ? null
    : notAttested(
        'the resolution does not attest that the effect of the step has taken place',
        'Check the lock or the hook by hand, then resolve with --attest.',
      );
}

function ofHost(attempt: Attempt, host: string, hosts: ReadonlyMap<string, HostRecord>): Fault | null {
  if (host !== attempt.source && host !== attempt.destination && !hosts.has(host)) {
    return new Fault(
      'UNKNOWN_HOST',
      `host ${JSON.stringify(host)} is not known`,
      'Name the source, the destination or a registered host.',
    );
  }
  const lack = lackOf(attempt, host);
  return lack === null ? null : hostLacksGuest(host, lack);
}

function ofStopped(attempt: Attempt): Fault | null {
  const [host] = executingHosts(attempt);
  return host === undefined
    ? null
    : new Fault(
        'GUEST_RUNNING',
        `${host} answered that it runs the guest`,
        `Stop the guest first, or resolve with --host ${host}.`,
      );
}
