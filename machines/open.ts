import type { Attempt } from '../events/attempt.ts';
import type { AttemptConfiguration } from '../events/configuration.ts';
import type { InputData } from '../events/inputs.ts';
import type { HostRecord, VmRecord } from '../events/records.ts';

/** The state of an attempt as it begins, from the report of its start and what is recorded of its VM and hosts. */
export function openAttempt(
  data: InputData<'landfall.migration.started.v1'>,
  record: VmRecord,
  site: {
    clock: string;
    now: number;
    configuration: AttemptConfiguration;
    host: (host: string) => HostRecord | undefined;
  },
): Attempt {
  const destination = site.host(data.destination);
  return {
    migration: data.migration,
    vm: record.vm,
    clock: site.clock,
    source: data.source,
    destination: data.destination,
    flags: data.flags,
    effects: data.effects,
    origin: data.origin ?? originOf(record),
    leavePaused: data.leavePaused,
    storageCopied: data.storageCopied,
    volumes: record.volumes,
    sourceBoot: site.host(data.source)?.boot ?? null,
    knownHosts: [],
    startedAt: site.now,
    returnedAt: null,
    callError: null,
    configuration: site.configuration,
    sequence: 0,
    returnedSequence: null,
    judgedSequence: null,
    asked: {},
    outgoingSeen: false,
    handedOver: false,
    shell: {
      unbroken: destination?.stream === 'connected',
      boot: destination?.boot ?? null,
      started: false,
      resumed: false,
      stopped: false,
      ran: false,
    },
    landedSequence: null,
    quietSince: null,
    quietRounds: false,
    searching: false,
    waiting: null,
    countedSequence: null,
    rounds: 0,
    pollAt: null,
    deadlineAt: null,
    retryAt: null,
    verdicts: [],
    steps: [],
    originPower: null,
    alarms: [],
    fenced: false,
    expiredLeases: [],
    supersededBy: null,
    settledAt: null,
  };
}

function originOf({ power }: VmRecord): Attempt['origin'] {
  return power === 'running' || power === 'paused' || power === 'stopped' ? power : 'unknown';
}
