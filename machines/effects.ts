import type { Attempt, Step, StepKind } from '../events/attempt.ts';
import type { Command } from '../events/commands.ts';
import type { Verdict } from '../events/verdict.ts';
import { canHold, placesOf, takesLocks } from './copies.ts';
import { volumesTaken } from './leases.ts';
import { GONE, isOneOf, LANDED, table } from './table.ts';

/**
 * The effects of a verdict: a plan of steps. A step's command is sent when its predecessors are acknowledged, and again until it
 * is acknowledged. Invariant 6: a release is acknowledged before the acquire is sent, and every lock command has the verdict's
 * fencing token.
 */

const RETRY_DOUBLINGS_MAX = 6;

/** Returns the steps of a verdict. An attempt with `effects: observe` records them without sending commands. */
export function plan(attempt: Attempt, verdict: Verdict): Step[] {
  const steps = verdict.outcome === 'completed' ? planCompletion(attempt, verdict) : planRollback(attempt, verdict);
  return attempt.effects === 'observe' ? steps.map((step) => ({ ...step, status: 'observed' as const })) : steps;
}

function planCompletion(attempt: Attempt, verdict: Verdict): Step[] {
  const make = maker(attempt, verdict);
  const post = make('post-migrate', null);
  // Another migration may have moved the guest back to the source, so the VM there may be the guest itself.
  const isLeftover = verdict.evidence.source.presence === 'switching' && attempt.supersededBy === null;
  // An operator's word alone destroys nothing: Landfall's own answers must show the guest on the destination.
  const isLanded = verdict.host === attempt.destination && isOneOf(LANDED, verdict.evidence.destination.presence);
  const mayDestroy = isLeftover && isLanded && verdict.resolution?.stopped !== true;
  const leftover = mayDestroy ? [make('destroy-leftover', attempt.source)] : [];
  const ends = [attempt.source, attempt.destination];
  const locks = lockSteps(attempt, make, [...ends, ...emptyHosts(verdict)], verdict.host, leftover);
  // The orchestrator may delete the source's copy of the storage after this hook, so every other step comes first.
  const after = make('after-migrate', null, { after: attempt.storageCopied ? [post, ...leftover, ...locks] : [post] });
  return [post, after, ...leftover, ...locks];
}

function planRollback(attempt: Attempt, verdict: Verdict): Step[] {
  const make = maker(attempt, verdict);
  const row = table.find((candidate) => candidate.id === verdict.row);
  // The hook would undo what `post-migrate` did on the host where the arrival was proven.
  const isUnhooked = (verdict.contested && row?.noEffects === true) || hadArrived(attempt, verdict);
  const failed = isUnhooked ? [] : [make('failed-to-migrate', null)];
  const fail = make('fail-call', null, { after: failed });
  if (verdict.contested) return [...failed, fail];
  const code = attempt.callError?.code;
  const asksOrigin = code !== undefined && attempt.configuration.askOriginErrorCodes.includes(code);
  const origin = asksOrigin ? [make('ask-origin', attempt.source, { after: failed })] : [];
  // A refused call moved no lock, but an earlier attempt may have left a lock on another host.
  const isRefused = wasRefusedBeforeStart(attempt, verdict) && attempt.formerOwners.length === 0;
  const untouched = row?.noLocks === true || isRefused || verdict.evidence.notStarted === true;
  const locks = untouched
    ? []
    : lockSteps(attempt, make, [attempt.destination, ...emptyHosts(verdict)], attempt.source, failed);
  // Another migration may have moved the guest to another host.
  const mustResume =
    verdict.row === 'stalled' && verdict.evidence.origin === 'running' && attempt.supersededBy === null;
  const resume = mustResume ? [make('resume-guest', attempt.source, { after: locks.length > 0 ? locks : failed })] : [];
  return [...failed, ...origin, ...locks, ...resume, fail];
}

/** Returns whether an earlier verdict proved the guest's arrival, and so sent `post-migrate`. */
function hadArrived({ verdicts }: Attempt, { number }: Verdict): boolean {
  return verdicts.some(
    (earlier) =>
      earlier.number < number &&
      earlier.outcome === 'completed' &&
      earlier.certainty === 'proven' &&
      !earlier.contested,
  );
}

/** libvirt refused the call before the migration began: no job was seen, and an unbroken event stream reported no shell. */
function wasRefusedBeforeStart(attempt: Attempt, verdict: Verdict): boolean {
  const { shell } = attempt;
  const touched = attempt.outgoingSeen || shell.started || shell.resumed || shell.stopped || shell.ran;
  return verdict.evidence.libvirtError && shell.unbroken && !touched;
}

/**
 * Steps for each exclusive volume: releases on all hosts that may hold its lock, then the acquire on host `to`. A release on a
 * host without the lock has no effect.
 */
function lockSteps(attempt: Attempt, make: Make, from: string[], to: string, after: Step[]): Step[] {
  // The newer attempt moves the locks: a command of this attempt could use a higher token than the newer attempt's.
  if (attempt.supersededBy !== null) return [];
  const decidedBefore = attempt.verdicts.map(({ host }) => host);
  const holders = [...new Set([...from, ...attempt.formerOwners, ...decidedBefore])].filter((host) => host !== to);
  return placesOf(attempt)
    .filter(({ volume: { shareable, lockedBy } }) => !shareable && lockedBy === 'landfall')
    .flatMap(({ volume: { volume }, on }) => {
      // A copied volume stays on its host: its lock is taken or released there.
      if (on === to) return [make('acquire-lock', to, { volume, after })];
      if (on !== null) return [make('release-lock', on, { volume, after })];
      const releases = holders.map((host) => make('release-lock', host, { volume, after }));
      const acquire = takesLocks(attempt, to) ? [make('acquire-lock', to, { volume, after: releases })] : [];
      return [...releases, ...acquire];
    });
}

/**
 * Other known hosts that answered and do not have the guest. A lock that one of these hosts still holds is orphaned.
 */
function emptyHosts({ evidence }: Verdict): string[] {
  return evidence.others.filter(({ presence }) => isOneOf(GONE, presence)).map(({ host }) => host);
}

/**
 * Adds releases on a host that turns out to have had the guest, because it may hold the guest's locks. Pending acquires wait for
 * these releases (invariant 6).
 */
export function alsoRelease(attempt: Attempt, host: string): Attempt {
  const verdict = attempt.verdicts.at(-1);
  if (verdict === undefined || attempt.supersededBy !== null || attempt.effects === 'observe') return attempt;
  const make = maker(attempt, verdict);
  let isAdded = false;
  const steps = attempt.steps.flatMap((step): Step[] => {
    if (step.kind !== 'acquire-lock' || isOver(step) || step.host === host || step.volume === null) return [step];
    if (!canHold(attempt, step.volume, host)) return [step];
    const release = make('release-lock', host, { volume: step.volume });
    if (attempt.steps.some(({ command }) => command === release.command)) return [step];
    isAdded = true;
    return [release, { ...step, status: 'waiting', tries: 0, error: null, after: [...step.after, release.command] }];
  });
  return isAdded ? { ...attempt, steps } : attempt;
}

type Make = (kind: StepKind, host: string | null, more?: { volume?: string; after?: Step[] }) => Step;

function maker(attempt: Attempt, verdict: Verdict): Make {
  return (kind, host, more = {}) => ({
    command: idOf(attempt, verdict, kind, more.volume === undefined ? [] : [more.volume, host ?? '']),
    kind,
    host,
    volume: more.volume ?? null,
    after: (more.after ?? []).map((step) => step.command),
    status: 'waiting',
    tries: 0,
    error: null,
  });
}

/**
 * Returns the id of a step's command: equal for every retry, and distinct for each host on which a volume is released.
 */
function idOf({ migration }: Attempt, { number }: Verdict, kind: StepKind, of: string[]): string {
  return [migration, `v${number}`, kind, ...of].join('/');
}

/** Returns whether nothing is left to do for a step. */
export const isOver = (step: Step) => step.status === 'done' || step.status === 'observed' || step.status === 'dropped';

/** Returns whether all steps are over and no other process holds the lease of a volume. */
export function isSettled(attempt: Attempt): boolean {
  return attempt.steps.every(isOver) && !isLeaseTaken(attempt);
}

/** Returns whether a process elsewhere holds a lease. An unreported move takes the leases along to the host in `movedTo`. */
function isLeaseTaken(attempt: Attempt): boolean {
  const verdict = attempt.verdicts.at(-1);
  // An operator's verdict and a newer attempt override the lock manager.
  if (verdict === undefined || verdict.resolution !== null || attempt.supersededBy !== null) return false;
  return volumesTaken(attempt, attempt.movedTo ?? verdict.host).length > 0;
}

/** Sends every waiting step whose predecessors are done. A dropped predecessor blocks its successors. */
export function advance(attempt: Attempt, now: number): Attempt {
  const done = new Set(attempt.steps.filter((step) => step.status === 'done').map((step) => step.command));
  let sentAny = false;
  const steps = attempt.steps.map((step): Step => {
    if (step.status !== 'waiting' || !step.after.every((command) => done.has(command))) return step;
    // A resumed guest would write to a volume that another process uses.
    if (step.kind === 'resume-guest' && isLeaseTaken(attempt)) return step;
    sentAny = true;
    return { ...step, status: 'sent', tries: 1 };
  });
  return sentAny ? withRetry({ ...attempt, steps }, now) : attempt;
}

/** Returns whether a command was sent and not acknowledged yet. */
export const isUnderWay = ({ status }: Pick<Step, 'status'>): boolean => status === 'sent' || status === 'refused';

/** Applies an acknowledgement. It changes nothing if the step is neither sent nor refused. */
export function acknowledge(attempt: Attempt, command: string, ok: boolean, error: string | undefined): Attempt {
  const steps = attempt.steps.map((step): Step => {
    if (step.command !== command || !isUnderWay(step)) return step;
    return { ...step, status: ok ? 'done' : 'refused', error: ok ? null : (error ?? 'refused') };
  });
  return { ...attempt, steps };
}

/** Sends every unacknowledged or refused step again. */
export function resend(attempt: Attempt, now: number): Attempt {
  const steps = attempt.steps.map((step): Step => {
    return isUnderWay(step) ? { ...step, status: 'sent', tries: step.tries + 1 } : step;
  });
  return withRetry({ ...attempt, steps }, now);
}

/**
 * Ends the steps for the source's copy when the source answers that it has none, or was rebooted: the leftover counts as
 * destroyed, and the guest cannot be resumed there.
 */
export function finishStepsOnEmptySource(attempt: Attempt, isGone: boolean): Attempt {
  if (!isGone) return attempt;
  const steps = attempt.steps.map((step): Step => {
    if (isOver(step)) return step;
    if (step.kind === 'destroy-leftover') return { ...step, status: 'done', error: null };
    return step.kind === 'resume-guest'
      ? { ...step, status: 'dropped', error: 'the guest is gone from the source' }
      : step;
  });
  return { ...attempt, steps };
}

/** The number of refused or unanswered tries of a step after which an alarm is raised. */
const STUCK_TRIES = 3;

/**
 * Returns true if a lock step was refused so often that an operator should examine the lock. The step is still retried.
 */
export function isStuck(attempt: Attempt): boolean {
  return attempt.steps.some((step) => isLockStep(step) && step.status === 'refused' && step.tries >= STUCK_TRIES);
}

/**
 * Returns whether a host did not answer a command in so many tries that an operator should examine it, or a lock step waits for a
 * command without an answer. Call it before `resend`.
 */
export function isUnanswered({ steps }: Attempt): boolean {
  const blocksLock = ({ command }: Step) =>
    steps.some((step) => isLockStep(step) && step.status === 'waiting' && step.after.includes(command));
  return steps.some(
    (step) =>
      step.kind !== 'ask-origin' &&
      step.status === 'sent' &&
      step.tries >= STUCK_TRIES &&
      (step.host !== null || blocksLock(step)),
  );
}

/** Returns whether a step was refused or had no answer so often that an operator may settle it. */
export function isStuckStep({ kind, status, tries }: Step): boolean {
  return kind !== 'ask-origin' && isUnderWay({ status }) && tries >= STUCK_TRIES;
}

const isLockStep = ({ kind }: Pick<Step, 'kind'>) => kind === 'release-lock' || kind === 'acquire-lock';

/**
 * Returns whether a refusal of the command casts doubt on the verdict: the host may know better which host has the
 * guest.
 */
export function refusalRaisesDoubt(attempt: Attempt, command: string): boolean {
  const kind = attempt.steps.find((step) => step.command === command)?.kind;
  return kind === 'destroy-leftover' || kind === 'resume-guest' || kind === 'release-lock';
}

/** Drops the open lock steps, because the guest has left the host that the verdict names. */
export function dropLocks(attempt: Attempt): Attempt {
  const steps = attempt.steps.map(
    (step): Step =>
      isOver(step) || !isLockStep(step)
        ? step
        : { ...step, status: 'dropped', error: 'the guest moved to another host' },
  );
  return { ...attempt, steps };
}

/** Drops all open steps, because a newer attempt of the VM has higher fencing tokens. */
export function drop(attempt: Attempt): Attempt {
  const steps = attempt.steps.map((step): Step => (isOver(step) ? step : { ...step, status: 'dropped' }));
  return { ...attempt, steps, retryAt: null };
}

function withRetry(attempt: Attempt, now: number): Attempt {
  const tries = Math.max(0, ...attempt.steps.filter((step) => step.status === 'sent').map((step) => step.tries));
  if (tries === 0) return { ...attempt, retryAt: null };
  const waitMs = attempt.configuration.commandRetrySeconds * 1000 * 2 ** Math.min(tries - 1, RETRY_DOUBLINGS_MAX);
  return { ...attempt, retryAt: now + waitMs };
}

/** Returns the commands sent between two states: those of steps whose number of tries rose. */
export function commandsSent(before: Attempt | null, after: Attempt): Command[] {
  const verdict = after.verdicts.at(-1);
  if (verdict === undefined || before?.steps === after.steps) return [];
  const triesBefore = new Map((before?.steps ?? []).map((step) => [step.command, step.tries]));
  return after.steps
    .filter(
      (step) =>
        step.kind !== 'ask-origin' && step.status === 'sent' && step.tries > (triesBefore.get(step.command) ?? 0),
    )
    .map((step) => toCommand(after, verdict, step));
}

/** Returns the command of a step, as the receiver gets it. */
export function toCommand(attempt: Attempt, verdict: Verdict, step: Step): Command {
  return {
    command: step.command,
    kind: step.kind,
    migration: attempt.migration,
    vm: attempt.vm,
    host: step.host,
    volume: step.volume,
    mode: step.kind === 'acquire-lock' ? 'exclusive' : null,
    token: verdict.token,
    contested: verdict.contested,
    error: verdict.error,
    ...(verdict.notices === undefined || step.host !== null ? {} : { notices: verdict.notices }),
    onlyIf: conditionsOf(step.kind),
    boot: attempt.sourceBoot,
    try: step.tries,
  };
}

/** The conditions that the receiver checks before it executes a command of this kind. */
export function conditionsOf(kind: StepKind): Command['onlyIf'] {
  if (kind === 'release-lock') return ['no-opener'];
  if (kind === 'destroy-leftover') return ['paused', 'same-boot'];
  return kind === 'resume-guest' ? ['same-boot'] : [];
}
