import type { z } from 'zod';
import type { AttemptState } from '../../events/attempt.ts';
import { Fault } from '../../events/fault.ts';
import type { Input, InputData } from '../../events/inputs.ts';
import type { HostRecord } from '../../events/records.ts';
import { path } from '../../machines/chart.ts';

/** Why an input is not followed. Each is kept in the ledger beside the input it refused. */
export const refusals = {
  identityConflict: (input: Pick<Input, 'source' | 'id'>) =>
    new Fault(
      'IDENTITY_CONFLICT',
      `source ${JSON.stringify(input.source)} used id ${JSON.stringify(input.id)} before, for other content`,
      'Give every event an id of its own; a redelivery must repeat the event unchanged.',
    ),
  attemptOpen: (migration: string) =>
    new Fault(
      'ATTEMPT_OPEN',
      `attempt ${migration} of this VM is still open`,
      `landfall explain ${migration} says what it waits for.`,
    ),
  attemptExists: (migration: string) =>
    new Fault('ATTEMPT_EXISTS', `attempt ${migration} exists already`, 'Give every migration call an id of its own.'),
  unknownAttempt: (migration: string) =>
    new Fault(
      'UNKNOWN_ATTEMPT',
      `no open attempt ${migration} of this VM is known`,
      'Report its start (landfall.migration.started.v1) first, with the same VM.',
    ),
  unknownQuestion: (question: string) =>
    new Fault(
      'UNKNOWN_ATTEMPT',
      `question ${question} belongs to no known attempt of this VM`,
      'Answer with the id of a question that was asked.',
    ),
  tooManyVolumes: () =>
    new Fault(
      'TOO_MANY_VOLUMES',
      'holders of too many volumes are reported that nobody declared as volumes of this VM',
      'Declare the volumes of the VM (landfall.vm.declared.v1), or report those that are its own.',
    ),
  badConfiguration: (error: z.ZodError) => {
    const issue = error.issues[0];
    return new Fault(
      'BAD_CONFIGURATION',
      `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'invalid'}`,
      'landfall config get shows the settings in force.',
      error,
    );
  },
  /** An operator may settle a contested or provisional attempt, on a host that could have the guest, with an attestation. */
  ofResolution: (
    { value, attempt }: AttemptState,
    data: InputData<'landfall.migration.resolved.v1'>,
    hosts: ReadonlyMap<string, HostRecord>,
  ): Fault | null => {
    const at = path(value);
    if (at !== 'RolledBack.contested' && at !== 'Completed.provisional') {
      return new Fault(
        'NOT_CONTESTED',
        `attempt ${data.migration} is ${at}: there is nothing to resolve`,
        'Only a contested or provisional attempt takes a resolution.',
      );
    }
    if (!data.attest) {
      return new Fault(
        'NOT_ATTESTED',
        'the resolution does not attest that the other side was checked',
        'Check that no other host runs the guest, then resolve with --attest.',
      );
    }
    const possible = data.host === attempt.source || data.host === attempt.destination || hosts.has(data.host);
    return possible
      ? null
      : new Fault(
          'UNKNOWN_HOST',
          `host ${JSON.stringify(data.host)} is not known`,
          'Name the source, the destination or a registered host.',
        );
  },
};
