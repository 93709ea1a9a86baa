import type { Attempt } from '../../events/attempt.ts';
import { forAttempt } from '../../events/configuration.ts';
import type { Cause } from '../../events/entries.ts';
import { unreachable } from '../../events/fault.ts';
import type { InputData, VmInput } from '../../events/inputs.ts';
import type { VmRecord } from '../../events/records.ts';
import { sequenceOf } from '../../machines/evidence.ts';
import { isFenced } from '../../machines/fencing.ts';
import { contradicts, contradictsVerdict } from '../../machines/doubt.ts';
import { leasesOf, NO_HOST } from '../../machines/leases.ts';
import type { Stimulus } from '../../machines/fold.ts';
import { openAttempt } from '../../machines/open.ts';
import { roleOf } from '../../machines/chart.ts';
import { isUnexpectedOn } from '../../machines/third-hosts.ts';
import { begin } from '../../machines/step.ts';
import { isUnderWay } from '../../machines/effects.ts';
import {
  applyDeclaration,
  applyDisks,
  applyHolders,
  applyLifecycle,
  applyLockStep,
  isOver,
  mayRun,
} from '../../machines/vm.ts';
import { isCommandOf } from './known-command.ts';
import { refusals } from './refusals.ts';
import type { LoadedAttempt } from './attempt-cache.ts';
import { type Moment, partOf, type Workspace } from './workspace.ts';

/** Applies an input about one VM: to its record and to its open attempts. Every input leaves an entry. */

/** An input's context. `open` lists the VM's open attempts on the input's clock, oldest first. */
type Context = { space: Workspace; record: VmRecord; open: string[]; cause: Cause; moment: Moment };

export function applyVmInput(space: Workspace, input: VmInput, cause: Cause, moment: Moment): void {
  const record = space.records.get(input.vm);
  const context: Context = { space, record, open: space.openOf(record, moment.clock), cause, moment };
  switch (input.type) {
    case 'landfall.vm.declared.v1':
      return keepRecord(
        context,
        applyDeclaration(record, input.data, context.open.length > 0, space.host(input.data.host, moment.clock)),
      );
    case 'landfall.volume.holders.v1':
      return hold(context, applyHolders(record, input.data), input.data.holders);
    case 'landfall.vm.requested.v1':
      return request(context, input.data);
    case 'landfall.operator.acted.v1':
      return space.write(record.vm, cause, moment, {});
    case 'landfall.migration.started.v1':
      return start(context, input.data);
    case 'landfall.migration.returned.v1':
      return returned(context, input.data);
    case 'landfall.migration.resolved.v1':
      return resolve(context, input.data);
    case 'landfall.host.answered.v1':
      return answer(context, input.data);
    case 'landfall.host.lifecycle.v1':
      return lifecycle(context, input.data);
    case 'landfall.volume.lease-expired.v1':
      return stepEachOpen(context, { type: 'lease-expired', data: input.data });
    case 'landfall.command.acknowledged.v1':
      return acknowledge(context, input.data);
    default:
      return unreachable(input);
  }
}

function keepRecord({ space, cause, moment }: Context, record: VmRecord): void {
  space.records.set(record);
  space.write(record.vm, cause, moment, {});
}

function hold(
  context: Context,
  held: VmRecord | null,
  holders: InputData<'landfall.volume.holders.v1'>['holders'],
): void {
  const { space, record, cause, moment } = context;
  if (held === null) return space.refuse(record.vm, refusals.tooManyVolumes(), cause, moment);
  keepRecord(context, held);
  const newest = held.lastMigration === null ? null : space.attempts.find(held.lastMigration);
  if (newest?.state.attempt.clock === moment.clock) reportLeases(context, held, newest, holders);
}

/**
 * Passes the holders of leases to the VM's newest attempt. A third host that holds a lease of a running guest may have started it,
 * so Landfall asks every known host. A settled attempt is reopened only by such a host, or by holders that contradict its verdict.
 */
function reportLeases(
  { space, cause, moment }: Context,
  record: VmRecord,
  newest: LoadedAttempt,
  holders: InputData<'landfall.volume.holders.v1'>['holders'],
): void {
  const { attempt } = newest.state;
  const leases = leasesOf(record);
  const third = record.power === 'stopped' ? null : thirdHolder(attempt, holders);
  const isThird = third !== null && third !== record.host;
  const isElsewhere = contradictsVerdict({ ...attempt, leases }) && attempt.verdicts.at(-1)?.host === record.host;
  if (isOver(newest.state) && !isThird && !isElsewhere) return;
  if (isOver(newest.state)) space.attempts.reopen(newest);
  const site = { knownHosts: space.knownHosts(moment.clock, attempt.source), leftLocks: record.leftLocks ?? [] };
  const verdictSite = attempt.verdicts.length === 0 ? {} : { site };
  const stimulus: Stimulus = isThird
    ? { type: 'seen-elsewhere', host: third, leases, ...verdictSite }
    : { type: 'leases', leases, ...verdictSite };
  space.step(attempt.migration, stimulus, partOf(cause, 1), moment, 'quiet');
}

/** Returns the first known host besides the two ends that holds a lease; null if there is none. */
function thirdHolder(attempt: Attempt, holders: InputData<'landfall.volume.holders.v1'>['holders']): string | null {
  const found = holders.find(
    ({ host, mode }) => mode === 'exclusive' && host !== NO_HOST && isUnexpectedOn(attempt, host),
  );
  return found?.host ?? null;
}

/** Refuses every request while an attempt is open, and a start of a guest that its host may run. */
function request(
  { space, record, open: [first], cause, moment }: Context,
  { action }: InputData<'landfall.vm.requested.v1'>,
): void {
  const isStart = action === 'start' || action === 'ha-restart';
  const isFenced = space.host(record.host, moment.clock)?.fenced === true;
  if (first !== undefined) space.refuse(record.vm, refusals.attemptOpen(first), cause, moment);
  else if (isStart && record.host !== null && !isFenced && mayRun(record))
    space.refuse(record.vm, refusals.alreadyRunning(record, record.host), cause, moment);
  else space.write(record.vm, cause, moment, {});
}

function start(
  { space, record, open: earlier, cause, moment }: Context,
  data: InputData<'landfall.migration.started.v1'>,
): void {
  if (space.attempts.find(data.migration) !== null)
    return space.refuse(record.vm, refusals.attemptExists(data.migration), cause, moment);
  const now = space.time(moment);
  const site = {
    now,
    clock: moment.clock,
    configuration: forAttempt(space.configuration),
    host: (host: string) => space.host(host, moment.clock),
  };
  const before = earlier.flatMap((migration) => space.attempts.open(migration)?.state.attempt ?? []);
  const attempt = openAttempt(data, record, site, before);
  // A migration from a host to itself moves nothing: the record stays as it is, and the VM's newest attempt remains the newest.
  if (data.source === data.destination) return space.keep(begin(attempt, now), {}, record, cause, moment);
  space.keep(begin(attempt, now), {}, { ...record, lastMigration: data.migration }, cause, moment);
  // A started migration supersedes the open attempts: their hosts are asked at once, for a last time.
  earlier.forEach((migration, index) => {
    const found = space.attempts.open(migration);
    const undecided = found !== null && roleOf(found.state.value) !== 'settling';
    if (undecided && !isInFinalRound(found, data.source))
      space.step(migration, space.supersession(data, found.state.attempt), partOf(cause, index + 1), moment);
  });
}

/** Returns whether an earlier call already started the attempt's final round, which considers a guest on `source`. */
function isInFinalRound({ state: { value, attempt } }: LoadedAttempt, source: string): boolean {
  const isConsidered = attempt.source !== source || attempt.twoCopies === true;
  return attempt.supersededBy !== null && roleOf(value) === 'final-round' && isConsidered;
}

function returned({ space, record, cause, moment }: Context, data: InputData<'landfall.migration.returned.v1'>): void {
  const found = space.attempts.find(data.migration);
  const settled = found !== null && isOver(found.state);
  const late = settled && data.ok && found.state.attempt.verdicts.at(-1)?.outcome === 'rolled-back';
  const isHere = found?.state.attempt.vm === record.vm && found.state.attempt.clock === moment.clock;
  if (!isHere) return space.refuse(record.vm, refusals.unknownAttempt(data.migration), cause, moment);
  if (settled && !late) return space.refuse(record.vm, refusals.attemptSettled(found.state.attempt), cause, moment);
  if (late) space.attempts.reopen(found);
  const knownHosts = space.knownHosts(moment.clock, found.state.attempt.source);
  space.step(
    data.migration,
    { type: 'returned', data, knownHosts, configuration: forAttempt(space.configuration) },
    cause,
    moment,
  );
}

function resolve({ space, record, cause, moment }: Context, data: InputData<'landfall.migration.resolved.v1'>): void {
  const { migration } = data;
  // A settled attempt is looked up too, so that the refusal names its state.
  const found = record.open.includes(migration) ? space.attempts.open(migration) : space.attempts.peek(migration);
  const fault =
    found?.state.attempt.vm === record.vm
      ? refusals.ofResolution(found.state, data, space.hosts)
      : refusals.unknownAttempt(migration);
  if (fault !== null) return space.refuse(record.vm, fault, cause, moment);
  // The hosts of a recording answer no new question.
  const asks = !moment.clock.startsWith('recorded:');
  space.step(data.migration, { type: 'resolved', data, asks }, cause, moment);
}

function answer({ space, record, open, cause, moment }: Context, data: InputData<'landfall.host.answered.v1'>): void {
  const migration = open.find((candidate) => sequenceOf(data.question, candidate) !== null);
  const settled = migration === undefined ? space.attempts.find(data.question.replace(/\/q\d+$/, '')) : null;
  const isAsked = migration !== undefined || settled?.state.attempt.vm === record.vm;
  if (!isAsked) return space.refuse(record.vm, refusals.unknownQuestion(data.question), cause, moment);
  const withDisks = applyDisks(record, data.disks);
  if (withDisks !== record) space.records.set(withDisks);
  if (migration === undefined) return space.write(record.vm, cause, moment, {});
  answerOpen({ space, cause, moment }, migration, data);
}

/** An answer to a question from after the fencing of its host shows that the host is back. */
function answerOpen(
  { space, cause, moment }: Pick<Context, 'space' | 'cause' | 'moment'>,
  migration: string,
  data: InputData<'landfall.host.answered.v1'>,
): void {
  const host = space.host(data.host, moment.clock);
  const isFencedFor = () => isFenced(space.attempts.open(migration)?.state.attempt ?? null, data.host);
  const before = host?.fenced === true && isFencedFor();
  space.step(migration, { type: 'answered', data }, cause, moment);
  if (host === undefined || !before || isFencedFor()) return;
  const { fenced: _, ...back } = host;
  space.setHost(back);
  space.write(null, partOf(cause, 1), moment, { host: back });
}

function lifecycle({ space, record, cause, moment }: Context, data: InputData<'landfall.host.lifecycle.v1'>): void {
  const newest = attemptAffectedBy(space, record, data, moment.clock);
  const outOfDoubt = newest === null || newest.state.attempt.verdicts.at(-1)?.contested === false;
  const hosts = (host: string | null) => space.host(host, moment.clock);
  const lived = outOfDoubt ? applyLifecycle(record, data, hosts) : record;
  space.records.set(lived);
  if (newest !== null) {
    const { migration, source, verdicts } = newest.state.attempt;
    // The event may reopen an attempt that settled long ago, so the present hosts and locks are used.
    const site = { knownHosts: space.knownHosts(moment.clock, source), leftLocks: lived.leftLocks ?? [] };
    const stimulus: Stimulus = { type: 'lifecycle', data, ...(verdicts.length === 0 ? {} : { site }) };
    return void space.step(migration, stimulus, cause, moment);
  }
  space.write(record.vm, cause, moment, {});
}

/** The events that can contradict a settled verdict, besides those of a migration. */
const DOUBTING_EVENTS: ReadonlySet<string> = new Set(['Resumed', 'Started', 'Defined']);

/** Returns whether a third host may start the guest without a doubt: the guest was stopped, or the record names that host. */
function isOrdinaryStart(record: VmRecord, attempt: Attempt, host: string): boolean {
  return isUnexpectedOn(attempt, host) && (record.power === 'stopped' || record.host === host);
}

/** Returns the newest attempt if it is open or if this event contradicts its verdict, which reopens it; null otherwise. */
function attemptAffectedBy(
  space: Workspace,
  record: VmRecord,
  data: InputData<'landfall.host.lifecycle.v1'>,
  clock: string,
): LoadedAttempt | null {
  const migration = record.lastMigration;
  if (migration === null) return null;
  const open = space.attempts.open(migration);
  if (open !== null) return open.state.attempt.clock === clock ? open : null;
  // Only these events can contradict a verdict, so the settled attempt is not loaded for the rest.
  if (!DOUBTING_EVENTS.has(data.event) && data.detail !== 'Migrated') return null;
  const settled = space.attempts.find(migration);
  if (settled?.state.attempt.clock !== clock || !contradicts(settled.state.attempt, data)) return null;
  if (isOrdinaryStart(record, settled.state.attempt, data.host)) return null;
  space.attempts.reopen(settled);
  return settled;
}

function acknowledge(
  { space, record, open, cause, moment }: Context,
  data: InputData<'landfall.command.acknowledged.v1'>,
): void {
  const isIts = (migration: string) =>
    space.attempts.open(migration)?.state.attempt.steps.some((step) => step.command === data.command) === true;
  const migration = open.find(isIts);
  if (migration !== undefined) {
    const { steps } = space.attempts.open(migration)?.state.attempt ?? { steps: [] };
    const step = steps.find(({ command }) => command === data.command);
    if (data.ok && step !== undefined && isUnderWay(step)) space.records.set(applyLockStep(record, step));
    return void space.step(migration, { type: 'acknowledged', data }, cause, moment);
  }
  const isKnown = isCommandOf(data.command, record.vm, (id) => space.attempts.peek(id)?.state.attempt ?? null);
  if (isKnown) space.write(record.vm, cause, moment, {});
  else space.refuse(record.vm, refusals.unknownCommand(data.command), cause, moment);
}

function stepEachOpen({ space, record, open, cause, moment }: Context, stimulus: Stimulus): void {
  if (open.length === 0) return space.write(record.vm, cause, moment, {});
  open.forEach((migration, index) => {
    space.step(migration, stimulus, partOf(cause, index), moment);
  });
}
