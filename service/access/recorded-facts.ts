import type { VmRecord } from '../../events/records.ts';
import { ORCHESTRATOR } from '../../producers/work-queue.ts';
import { attemptState } from '../../projections/attempts.ts';
import { vmRecord } from '../../projections/vms.ts';
import type { Engine } from '../engine/engine.ts';
import type { Recorded } from './guard.ts';

type Source = Pick<Engine, 'workQueue' | 'parts'>;

/** Returns the recorded facts against which the guard checks an agent's report. */
export function recordedFacts(source: Source): Recorded {
  return {
    hostOfCommand: (command) => hostOfCommand(source, command),
    holders: (vm, volume) => {
      const records = source.parts.map(({ db }) => vmRecord(db, vm));
      return records.flatMap((record) => (record === null ? [] : heldBy(record, volume)));
    },
  };
}

function heldBy({ holders }: VmRecord, volume: string): string[] {
  const found = Object.hasOwn(holders, volume) ? (holders[volume] ?? []) : [];
  return found.map(({ host }) => host);
}

/** Returns the host a command was sent to: found among the outstanding commands, or in the recorded attempt. */
function hostOfCommand(source: Source, command: string): string | null | undefined {
  return migrationsIn(command)
    .map((migration) => recipientOf(source, migration, command))
    .find((host) => host !== undefined);
}

/**
 * Returns the attempt ids that a command id may start with. A volume name can contain the separator, so there can be
 * several.
 */
function migrationsIn(command: string): string[] {
  return [...command.matchAll(/(?<=.)\/v\d+\/[a-z-]+(?=\/|$)/g)].map(({ index }) => command.slice(0, index));
}

function recipientOf({ workQueue, parts }: Source, migration: string, command: string): string | null | undefined {
  const recipient = workQueue.recipientOfCommand(migration, command);
  if (recipient !== undefined) return recipient === ORCHESTRATOR ? null : recipient;
  const found = parts.map(({ db }) => attemptState(db, migration)).find((state) => state !== null);
  const steps = found?.state.attempt.steps ?? [];
  return steps.find((step) => step.command === command)?.host;
}
