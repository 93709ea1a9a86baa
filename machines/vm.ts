import type { Attempt, AttemptState, Step } from '../events/attempt.ts';
import type { InputData } from '../events/inputs.ts';
import type { HostRecord, VmRecord } from '../events/records.ts';
import type { Verdict } from '../events/verdict.ts';
import type { Power } from '../events/vocabulary.ts';
import { roleOf } from './chart.ts';
import { satisfies } from './decide.ts';
import { withCopies } from './copies.ts';
import { askedOf, readHost } from './evidence.ts';
import { powerOf } from './power.ts';

/** The record of a VM: its host, how certain the host is, the desired owner of its locks, and the observed holders. */

export function unknownVm(vm: string): VmRecord {
  return {
    vm,
    name: null,
    host: null,
    lastHost: null,
    zone: null,
    cluster: null,
    certainty: 'unknown',
    power: 'unknown',
    volumes: [],
    owner: null,
    holders: {},
    token: 0,
    open: [],
    lastMigration: null,
  };
}

/** Moves the record to a host. Zone and cluster are null if the host is not registered. */
function atHost(record: VmRecord, host: string, at: HostRecord | undefined): VmRecord {
  return { ...record, host, zone: at?.zone ?? null, cluster: at?.cluster ?? null };
}

/**
 * Remembers hosts that may still hold the VM's locks, so that the next attempt releases them there. Nothing is remembered if
 * Landfall moves none of the VM's locks.
 */
function withLeftLocks(record: VmRecord, ...hosts: string[]): VmRecord {
  const left = record.leftLocks ?? [];
  const more = hosts.filter((host) => !left.includes(host));
  const moves = record.volumes.some(({ shareable, lockedBy }) => !shareable && lockedBy === 'landfall');
  return more.length === 0 || !moves ? record : { ...record, leftLocks: [...left, ...more] };
}

const ownersOf = ({ owner }: VmRecord) => (owner === null ? [] : [owner]);

/** Applies a declaration from an inventory. While an attempt is open, only the attempt changes the VM's host. */
export function applyDeclaration(
  record: VmRecord,
  data: InputData<'landfall.vm.declared.v1'>,
  isMoving: boolean,
  at: HostRecord | undefined,
): VmRecord {
  const named = { ...record, name: data.name, volumes: data.volumes };
  if (isMoving || data.host === null) return named;
  const { copies: _, ...whole } = named;
  const here = atHost(data.host === record.owner ? whole : withLeftLocks(whole, ...ownersOf(record)), data.host, at);
  return { ...here, certainty: 'proven', power: data.power, owner: data.host };
}

/**
 * Adds the disks of the domain's definition that were not declared. Landfall only observes their locks: no declaration says that it moves
 * them.
 */
export function applyDisks(record: VmRecord, disks: InputData<'landfall.host.answered.v1'>['disks'] = []): VmRecord {
  const known = new Set(record.volumes.map(({ volume }) => volume));
  const more = disks.filter(({ volume }) => !known.has(volume)).slice(0, VOLUMES_MAX - record.volumes.length);
  if (more.length === 0) return record;
  return {
    ...record,
    volumes: [...record.volumes, ...more.map((disk) => ({ ...disk, lockedBy: 'hypervisor' as const }))],
  };
}

/** The largest number of volumes per VM, as in a declaration. */
const VOLUMES_MAX = 256;

/** The largest number of undeclared volumes per VM whose observed holders are kept and shown. */
const UNDECLARED_MAX = 64;

/**
 * Applies observed lock holders. An undeclared volume is kept only while it has holders. Returns null if there are too
 * many.
 */
export function applyHolders(record: VmRecord, data: InputData<'landfall.volume.holders.v1'>): VmRecord | null {
  const { [data.volume]: _, ...others } = record.holders;
  const isDeclared = (volume: string) => record.volumes.some((declared) => declared.volume === volume);
  if (isDeclared(data.volume)) return { ...record, holders: { ...record.holders, [data.volume]: data.holders } };
  if (data.holders.length === 0)
    return Object.hasOwn(record.holders, data.volume) ? { ...record, holders: others } : record;
  const undeclared = Object.keys(others).filter((volume) => !isDeclared(volume)).length;
  return undeclared >= UNDECLARED_MAX
    ? null
    : { ...record, holders: { ...record.holders, [data.volume]: data.holders } };
}

/**
 * Applies an acknowledged lock command, which is an observation of the lock: an exclusive acquire succeeds only if no other host holds
 * the lock. A release of a lock that was never observed leaves open who else holds the lock.
 */
export function applyLockStep(record: VmRecord, { kind, volume, host }: Step): VmRecord {
  if (volume === null || host === null) return record;
  if (kind === 'acquire-lock')
    return applyHolders(record, { volume, holders: [{ host, mode: 'exclusive' }] }) ?? record;
  if (kind !== 'release-lock' || !Object.hasOwn(record.holders, volume)) return record;
  const holders = (record.holders[volume] ?? []).filter((holder) => holder.host !== host);
  return applyHolders(record, { volume, holders }) ?? record;
}

const powerEvents: Readonly<Record<string, Power>> = {
  Started: 'running',
  Resumed: 'running',
  Suspended: 'paused',
  PMSuspended: 'paused',
  Stopped: 'stopped',
  Crashed: 'broken',
};

function powerOfEvent({ event, detail }: InputData<'landfall.host.lifecycle.v1'>): Power | undefined {
  // libvirt writes `I/O Error` in events and `I/O error` in the reason of a state.
  if (event === 'Suspended' && detail.toLowerCase() === 'i/o error') return 'broken';
  return Object.hasOwn(powerEvents, event) ? powerEvents[event] : undefined;
}

/** Returns the record of a host of the site; undefined if the host is not registered. */
type Hosts = (host: string | null) => HostRecord | undefined;

/**
 * Returns true if a host may have the guest: its power is running, paused or broken, or both its power and its host are
 * unknown.
 */
export function mayRun({ power, certainty }: VmRecord): boolean {
  const isSeen = power === 'running' || power === 'paused' || power === 'broken';
  return isSeen || (power === 'unknown' && certainty === 'unknown');
}

/**
 * Applies a lifecycle event to the record while no attempt is in doubt: the guest's power, and a start on another host.
 */
export function applyLifecycle(
  record: VmRecord,
  data: InputData<'landfall.host.lifecycle.v1'>,
  hosts: Hosts,
): VmRecord {
  const tells = data.event === 'Started' || data.event === 'Resumed';
  return applyPowerEvent(
    tells && record.owner !== null && data.host !== record.owner ? withLeftLocks(record, data.host) : record,
    data,
    hosts,
  );
}

function applyPowerEvent(record: VmRecord, data: InputData<'landfall.host.lifecycle.v1'>, hosts: Hosts): VmRecord {
  const power = powerOfEvent(data);
  if (power === undefined) return record;
  // The guest left in an unreported migration; only an answer can show its new host.
  const left = data.event === 'Stopped' && data.detail === 'Migrated';
  if (data.host === record.host)
    return left ? { ...record, power: 'unknown', certainty: 'unknown' } : { ...record, power };
  const bootsElsewhere = data.event === 'Started' && data.detail !== 'Migrated';
  const wasDown = record.host === null || record.power === 'stopped' || record.power === 'unknown';
  const isFenced = hosts(record.host)?.fenced === true;
  if (!bootsElsewhere || (!wasDown && !isFenced)) return record;
  return {
    ...atHost(withLeftLocks(record, ...ownersOf(record)), data.host, hosts(data.host)),
    lastHost: record.host,
    certainty: 'proven',
    power,
    owner: data.host,
  };
}

/** Applies a step of an attempt to the record. @param verdict the verdict of this step; null if it led to none. */
export function applyAttempt(
  record: VmRecord,
  state: AttemptState,
  verdict: Verdict | null,
  hosts: (host: string) => HostRecord | undefined,
): VmRecord {
  const { attempt } = state;
  const opened = isOver(state) ? withoutOpen(record, attempt.migration) : withOpen(record, attempt.migration);
  const isNewest = record.lastMigration === attempt.migration;
  if (!isNewest) return verdict === null ? opened : { ...opened, token: verdict.token };
  if (verdict !== null) return applyVerdict(withCopies(opened, attempt, verdict), attempt, verdict, hosts);
  if (attempt.verdicts.length === 0) return applyWaitingRow(withCopies(opened, attempt, null), attempt, hosts);
  if (attempt.movedTo !== null && attempt.movedTo !== opened.host)
    return applyUnreportedMove(opened, attempt, attempt.movedTo, hosts);
  return applyDoubt(opened, state, attempt);
}

/** Returns whether the attempt is settled or superseded. Such an attempt stays in the ledger only, not in memory. */
export function isOver({ value }: Pick<AttemptState, 'value'>): boolean {
  const role = roleOf(value);
  return role === 'settled' || role === 'superseded';
}

function withOpen(record: VmRecord, migration: string): VmRecord {
  return record.open.includes(migration) ? record : { ...record, open: [...record.open, migration] };
}

function withoutOpen(record: VmRecord, migration: string): VmRecord {
  return record.open.includes(migration)
    ? { ...record, open: record.open.filter((other) => other !== migration) }
    : record;
}

/** Undecided: the record names the source, or the destination if the waiting row says so. */
function applyWaitingRow(
  record: VmRecord,
  attempt: Attempt,
  hosts: (host: string) => HostRecord | undefined,
): VmRecord {
  const host = attempt.waiting?.host ?? attempt.source;
  if (record.host === host && record.certainty === 'provisional') return record;
  return { ...atHost(record, host, hosts(host)), certainty: 'provisional' };
}

/** The guest moved to another host in an unreported migration after the verdict. Its locks stay as they are. */
function applyUnreportedMove(
  record: VmRecord,
  attempt: Attempt,
  host: string,
  hosts: (host: string) => HostRecord | undefined,
): VmRecord {
  return {
    ...atHost(withLeftLocks(record, ...ownersOf(record), ...attempt.formerOwners), host, hosts(host)),
    lastHost: record.host,
    certainty: 'proven',
    power: powerOf(readHost({ ...attempt, sourceBoot: null }, host, askedOf(attempt, host).answer)),
    owner: host,
  };
}

/** A reopened attempt makes the record's certainty unknown. */
function applyDoubt(record: VmRecord, state: AttemptState, attempt: Attempt): VmRecord {
  if (roleOf(state.value) === 'undecided') return { ...record, certainty: 'unknown' };
  const power = attempt.originPower;
  return power === null || power === 'unknown' || record.power === power ? record : { ...record, power };
}

/** If source and destination are one host, no host was asked and nothing moved, so the record keeps its values. */
const leavesRecord = ({ row }: Verdict) => row === 'same-host';

function applyVerdict(
  record: VmRecord,
  attempt: Attempt,
  verdict: Verdict,
  hosts: (host: string) => HostRecord | undefined,
): VmRecord {
  if (leavesRecord(verdict)) return { ...record, token: verdict.token };
  const here = {
    ...atHost(record, verdict.host, hosts(verdict.host)),
    certainty: verdict.certainty,
    token: verdict.token,
  };
  const power = powerAfter(verdict);
  // Locks stay as observed while a verdict is contested, and wait for proof while it is provisional.
  const isFrozen = verdict.contested || verdict.certainty === 'provisional';
  const owner = isFrozen ? record.owner : verdict.host;
  const lastHost = verdict.outcome === 'completed' ? attempt.source : record.lastHost;
  // This attempt's own steps release the locks on the remembered hosts.
  const { leftLocks: _released, ...clean } = here;
  const movesLocks = !isFrozen && attempt.steps.some(({ kind }) => kind === 'acquire-lock');
  return { ...(movesLocks ? clean : here), power, owner, lastHost };
}

function powerAfter({ row, host, contested, evidence, resolution }: Verdict): Power {
  if (resolution?.stopped === true) return 'stopped';
  if (row === 'half-arrived') return 'lost';
  if (row === 'torn') return satisfies('both-remain', evidence) ? 'broken' : 'lost';
  const testimony = [evidence.source, evidence.destination, ...evidence.others].find((one) => one.host === host);
  const power = testimony === undefined ? 'unknown' : powerOf(testimony);
  return contested && power === 'stopped' ? 'unknown' : power;
}
