import type { Attempt, Step, StepKind } from '../events/attempt.ts';
import type { Command } from '../events/commands.ts';
import type { Verdict } from '../events/verdict.ts';
import { GONE, isOneOf, table } from './table.ts';

/**
 * What follows from a verdict: a small plan of steps, each sent once its predecessors are acknowledged, and sent again until
 * it is acknowledged itself. Invariant 6: a release is acknowledged before its acquire is sent, and every lock command carries
 * the verdict's fencing token.
 */

const RETRY_DOUBLINGS_MAX = 6;

/** The steps that follow from the attempt's newest verdict. */
export function plan(attempt: Attempt, verdict: Verdict): Step[] {
  const steps = verdict.outcome === 'completed' ? planCompletion(attempt, verdict) : planRollback(attempt, verdict);
  return attempt.effects === 'observe' ? steps.map((step) => ({ ...step, status: 'observed' as const })) : steps;
}

function planCompletion(attempt: Attempt, verdict: Verdict): Step[] {
  const make = maker(attempt, verdict);
  const post = make('post-migrate', null);
  const after = make('after-migrate', null, { after: [post] });
  // Once another migration began, what is on the source may be the guest itself, come back with it.
  const isLeftover = verdict.evidence.source.presence === 'switching' && attempt.supersededBy === null;
  const leftover = isLeftover ? [make('destroy-leftover', attempt.source)] : [];
  return [
    post,
    after,
    ...leftover,
    ...lockSteps(attempt, make, [attempt.source, attempt.destination, ...emptyHosts(verdict)], verdict.host, leftover),
  ];
}

function planRollback(attempt: Attempt, verdict: Verdict): Step[] {
  const make = maker(attempt, verdict);
  const row = table.find((candidate) => candidate.id === verdict.row);
  const failed = verdict.contested && row?.noEffects === true ? [] : [make('failed-to-migrate', null)];
  const fail = make('fail-call', null, { after: failed });
  if (verdict.contested) return [...failed, fail];
  const code = attempt.callError?.code;
  const asksOrigin = code !== undefined && attempt.configuration.askOriginErrorCodes.includes(code);
  const origin = asksOrigin ? [make('ask-origin', attempt.source, { after: failed })] : [];
  // Where an earlier attempt may have left a lock elsewhere, it is fetched even though this call touched none.
  const isRefused = wasRefusedBeforeStart(attempt, verdict) && attempt.formerOwners.length === 0;
  const untouched = row?.noLocks === true || isRefused;
  const locks = untouched
    ? []
    : lockSteps(attempt, make, [attempt.destination, ...emptyHosts(verdict)], attempt.source, failed);
  // Once another migration began, it may have taken the guest along already.
  const mustResume =
    verdict.row === 'stalled' && verdict.evidence.origin === 'running' && attempt.supersededBy === null;
  const resume = mustResume ? [make('resume-guest', attempt.source, { after: locks.length > 0 ? locks : failed })] : [];
  return [...failed, ...origin, ...locks, ...resume, fail];
}

/** libvirt refused before anything began: no job, and no shell that its unbroken event stream would have told of. */
function wasRefusedBeforeStart(attempt: Attempt, verdict: Verdict): boolean {
  const { shell } = attempt;
  const touched = attempt.outgoingSeen || shell.started || shell.resumed || shell.stopped || shell.ran;
  return verdict.evidence.libvirtError && shell.unbroken && !touched;
}

/**
 * Each exclusive volume on its own: released wherever it may be held, then acquired where it belongs. A host that never held
 * it releases nothing.
 */
function lockSteps(attempt: Attempt, make: Make, from: string[], to: string, after: Step[]): Step[] {
  // The locks are the newer attempt's to move: a command of this one would spend a token that is newer than its.
  if (attempt.supersededBy !== null) return [];
  const decidedBefore = attempt.verdicts.map(({ host }) => host);
  const holders = [...new Set([...from, ...attempt.formerOwners, ...decidedBefore])].filter((host) => host !== to);
  return attempt.volumes
    .filter((volume) => !volume.shareable && volume.lockedBy === 'landfall')
    .flatMap(({ volume }) => {
      const releases = holders.map((host) => make('release-lock', host, { volume, after }));
      return [...releases, make('acquire-lock', to, { volume, after: releases })];
    });
}

/** The other known hosts that were heard, and do not have the guest: a lock that one still holds is an orphan. */
function emptyHosts({ evidence }: Verdict): string[] {
  return evidence.others.filter(({ presence }) => isOneOf(GONE, presence)).map(({ host }) => host);
}

/**
 * A host that is only now heard to have had the guest may hold its locks as well: what is not acquired yet waits for their
 * release there (invariant 6).
 */
export function alsoRelease(attempt: Attempt, host: string): Attempt {
  const verdict = attempt.verdicts.at(-1);
  if (verdict === undefined || attempt.supersededBy !== null || attempt.effects === 'observe') return attempt;
  const make = maker(attempt, verdict);
  let isAdded = false;
  const steps = attempt.steps.flatMap((step): Step[] => {
    if (step.kind !== 'acquire-lock' || isOver(step) || step.host === host || step.volume === null) return [step];
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

/** The same each time it is worked out. A volume may be released on several hosts, each by a command of its own. */
function idOf({ migration }: Attempt, { number }: Verdict, kind: StepKind, of: string[]): string {
  return [migration, `v${number}`, kind, ...of].join('/');
}

const isOver = (step: Step) => step.status === 'done' || step.status === 'observed' || step.status === 'dropped';

export function isSettled(attempt: Attempt): boolean {
  return attempt.steps.every(isOver);
}

/** Sends every step whose predecessors are done. A predecessor that was dropped (its lock moved on) holds its successors back. */
export function advance(attempt: Attempt, now: number): Attempt {
  const done = new Set(attempt.steps.filter((step) => step.status === 'done').map((step) => step.command));
  let sentAny = false;
  const steps = attempt.steps.map((step): Step => {
    if (step.status !== 'waiting' || !step.after.every((command) => done.has(command))) return step;
    sentAny = true;
    return { ...step, status: 'sent', tries: 1 };
  });
  return sentAny ? withRetry({ ...attempt, steps }, now) : attempt;
}

/** Takes an acknowledgement in; one for a step that is not under way changes nothing. */
export function acknowledge(attempt: Attempt, command: string, ok: boolean, error: string | undefined): Attempt {
  const steps = attempt.steps.map((step): Step => {
    const underWay = step.status === 'sent' || step.status === 'refused';
    if (step.command !== command || !underWay) return step;
    return { ...step, status: ok ? 'done' : 'refused', error: ok ? null : (error ?? 'refused') };
  });
  return { ...attempt, steps };
}

/** Sends again what is unacknowledged or was refused. */
export function resend(attempt: Attempt, now: number): Attempt {
  const steps = attempt.steps.map((step): Step => {
    const underWay = step.status === 'sent' || step.status === 'refused';
    return underWay ? { ...step, status: 'sent', tries: step.tries + 1 } : step;
  });
  return withRetry({ ...attempt, steps }, now);
}

/**
 * What the source is told to do with its copy is over once it answers that there is none: the leftover is gone, whoever did
 * it, and nothing can be resumed. One from another boot is as gone.
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

/** How often a lock's step is refused before somebody is called to look. */
const STUCK_TRIES = 3;

/** A lock that cannot be moved is held as it is, and tried for ever: what keeps it is for somebody to look at. */
export function isStuck(attempt: Attempt): boolean {
  return attempt.steps.some(
    ({ kind, status, tries }) =>
      (kind === 'release-lock' || kind === 'acquire-lock') && status === 'refused' && tries >= STUCK_TRIES,
  );
}

/** A host that refuses such a step may know better than the verdict who has the guest: then both ends are asked again. */
export function refusalRaisesDoubt(attempt: Attempt, command: string): boolean {
  const kind = attempt.steps.find((step) => step.command === command)?.kind;
  return kind === 'destroy-leftover' || kind === 'resume-guest' || kind === 'release-lock';
}

/** The guest is no longer where the verdict puts its locks: they stay as they are, and an alarm says so. */
export function dropLocks(attempt: Attempt): Attempt {
  const isLock = (step: Step) => step.kind === 'release-lock' || step.kind === 'acquire-lock';
  const steps = attempt.steps.map(
    (step): Step =>
      isOver(step) || !isLock(step) ? step : { ...step, status: 'dropped', error: 'the guest moved on' },
  );
  return { ...attempt, steps };
}

/** Ends what is under way: another attempt has taken the VM over and its tokens are newer. */
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

/** The commands that `after` sends and `before` had not: those whose number of tries rose. */
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

/** The command of a step, as its receiver gets it. */
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
    onlyIf: conditionsOf(step.kind),
    boot: attempt.sourceBoot,
    try: step.tries,
  };
}

function conditionsOf(kind: StepKind): Command['onlyIf'] {
  if (kind === 'release-lock') return ['no-opener'];
  if (kind === 'destroy-leftover') return ['paused', 'same-boot'];
  return kind === 'resume-guest' ? ['same-boot'] : [];
}
