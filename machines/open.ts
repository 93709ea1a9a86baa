import type { Attempt } from '../events/attempt.ts';
import type { AttemptConfiguration } from '../events/configuration.ts';
import type { InputData } from '../events/inputs.ts';
import { fencedAtStart } from './fencing.ts';
import { leasesOf } from './leases.ts';
import type { HostRecord, VmRecord } from '../events/records.ts';

/**
 * Returns the initial state of an attempt, from the report of its start and the records of its VM and hosts.
 * @param earlier the VM's attempts that are still open.
 */
export function openAttempt(
  data: InputData<'landfall.migration.started.v1'>,
  record: VmRecord,
  site: {
    clock: string;
    now: number;
    configuration: AttemptConfiguration;
    host: (host: string) => HostRecord | undefined;
  },
  earlier: readonly Attempt[] = [],
): Attempt {
  const destination = site.host(data.destination);
  const sharesSource = earlier.some(({ source }) => source === data.source);
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
    ...(data.destinationVolumes === undefined || !data.storageCopied
      ? {}
      : { destinationVolumes: data.destinationVolumes }),
    formerOwners: formerOwners(data, record, earlier),
    ...(sharesSource || earlier.some((attempt) => mayHaveLeft(attempt, data.source)) ? { twoCopies: true } : {}),
    ...(sharesSource ? { sharesSource: true, leftover: true } : {}),
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
    seenAtSource: false,
    outgoingSeen: false,
    handedOver: false,
    shell: {
      unbroken: destination?.stream === 'connected',
      boot: destination?.boot ?? null,
      started: false,
      resumed: false,
      stopped: false,
      arrived: false,
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
    fenced: site.host(data.source)?.fenced === true,
    ...fencedAtStart([data.source, data.destination], site.host),
    expiredLeases: [],
    ...observedLeases(record),
    supersededBy: null,
    movedTo: null,
    settledAt: null,
  };
}

function observedLeases(record: VmRecord): Pick<Attempt, 'leases'> {
  const leases = leasesOf(record);
  return Object.keys(leases).length === 0 ? {} : { leases };
}

/**
 * Returns whether the VM on `host` may be a second copy from an earlier attempt. A proven verdict that names `host`
 * excludes a second copy there.
 */
function mayHaveLeft({ twoCopies, verdicts }: Attempt, host: string): boolean {
  const verdict = verdicts.at(-1);
  const isFound = verdict?.certainty === 'proven' && !verdict.contested && verdict.host === host;
  return twoCopies === true && !isFound;
}

function originOf({ power }: VmRecord): Attempt['origin'] {
  // A guest stopped by an I/O error migrates as a paused guest.
  if (power === 'broken') return 'paused';
  return power === 'running' || power === 'paused' || power === 'stopped' ? power : 'unknown';
}

function formerOwners(
  { source }: InputData<'landfall.migration.started.v1'>,
  { owner, holders, leftLocks = [] }: VmRecord,
  earlier: readonly Attempt[] = [],
): string[] {
  const seen = Object.values(holders).flatMap((list) =>
    list.filter(({ mode }) => mode === 'exclusive').map(({ host }) => host),
  );
  const left = earlier.flatMap((attempt) => [attempt.source, attempt.destination, ...attempt.formerOwners]);
  const hosts = new Set([...(owner === null ? [] : [owner]), ...seen, ...leftLocks, ...left]);
  return [...hosts].filter((host) => host !== source);
}
