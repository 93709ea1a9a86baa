import type { InputData, VmInputType } from '../events/inputs.ts';

/**
 * The workload is a failed migration call. The attempt starts, the call returns an error, and the first answers of both hosts
 * decide nothing. A durable timer asks both hosts again, their second answers decide, and every command is acknowledged until the
 * attempt is settled. Each attempt has its own ids; the UUIDs are random, as in production.
 */

export type Attempt = {
  readonly vm: string;
  readonly migration: string;
  readonly source: string;
  readonly destination: string;
};

const HOSTS = 64;
/** The poll interval of the configuration under which the workload runs. The poll is the durable timer of the workload. */
export const POLL_SECONDS = 10;

let made = 0;

export function newAttempt(): Attempt {
  made += 1;
  const source = made % HOSTS;
  return {
    vm: crypto.randomUUID(),
    migration: crypto.randomUUID(),
    source: `host-${source}.example`,
    destination: `host-${(source + 1) % HOSTS}.example`,
  };
}

/** The inputs of one attempt as the texts of their CloudEvents, in order. The durable timer is due after `beforeTimer`. */
export type Course = { readonly beforeTimer: readonly string[]; readonly afterTimer: readonly string[] };

const moving = { name: 'web-01', state: 'running', reason: 'booted', job: 'outgoing' };
const shell = { name: 'web-01', state: 'paused', reason: 'migrating', job: 'incoming' };
const landed = { name: 'web-01', state: 'running', reason: 'migrated', job: 'none' };

export const TRANSITIONS_PER_ATTEMPT = 9;

export function course(attempt: Attempt): Course {
  return {
    beforeTimer: [started(attempt), failed(attempt), ...stillMoving(attempt, 3)],
    afterTimer: [...landedAnswers(attempt, 7), ...acknowledgements(attempt)],
  };
}

/** Returns the shortest course of an attempt: the first round of answers decides. */
export function quickCourse(attempt: Attempt): readonly string[] {
  return [started(attempt), failed(attempt), ...landedAnswers(attempt, 3), ...acknowledgements(attempt)];
}

/** Sets a poll interval and timeouts that differ from the defaults. */
export function configurationSet(change: Readonly<Record<string, number>>): string {
  const data = { change, operator: 'bench' };
  return JSON.stringify({
    specversion: '1.0',
    id: 'configuration',
    source: 'bench',
    type: 'landfall.configuration.set.v1',
    data,
  });
}

export function started({ vm, migration, source, destination }: Attempt): string {
  return event('landfall.migration.started.v1', vm, source, { migration, source, destination, origin: 'running' });
}

export function failed({ vm, migration, source }: Attempt): string {
  return event('landfall.migration.returned.v1', vm, source, {
    migration,
    ok: false,
    error: { kind: 'caller-timeout', message: 'virsh migrate was killed after 120 s' },
  });
}

/** Both hosts answer that the guest is still moving. `sequence` is the number of the question to the source. */
export function stillMoving(attempt: Attempt, sequence: number): string[] {
  return [
    answered(attempt, attempt.source, sequence, moving),
    answered(attempt, attempt.destination, sequence + 1, shell),
  ];
}

function landedAnswers(attempt: Attempt, sequence: number): string[] {
  return [
    answered(attempt, attempt.source, sequence, null),
    answered(attempt, attempt.destination, sequence + 1, landed),
  ];
}

function acknowledgements({ vm, migration, source }: Attempt): string[] {
  return ['post-migrate', 'after-migrate'].map((kind) =>
    event('landfall.command.acknowledged.v1', vm, source, { command: `${migration}/v1/${kind}`, ok: true }),
  );
}

function answered({ vm, migration }: Attempt, host: string, sequence: number, domain: object | null): string {
  return event('landfall.host.answered.v1', vm, host, {
    question: `${migration}/q${sequence}`,
    host,
    ok: true,
    domain: domain as InputData<'landfall.host.answered.v1'>['domain'],
    boot: '0d9f1a52-5b1e-4e1f-9a53-6d1c5a0a4f11',
  });
}

let events = 0;

/** Makes an event. The data may leave out fields that have a default. */
type Given<T extends VmInputType> = Partial<InputData<T>>;

function event<T extends VmInputType>(type: T, vm: string, host: string, data: Given<T>): string {
  events += 1;
  return JSON.stringify({
    specversion: '1.0',
    id: `${process.pid.toString(36)}-${events.toString(36).padStart(8, '0')}`,
    source: `agent://${host}`,
    type,
    subject: vm,
    time: '2026-11-23T02:14:00.123Z',
    datacontenttype: 'application/json',
    traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
    data,
  });
}
