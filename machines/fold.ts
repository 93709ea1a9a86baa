import type { Attempt, AttemptState } from '../events/attempt.ts';
import type { TimerKind } from '../events/entries.ts';
import { unreachable } from '../events/fault.ts';
import type { InputData } from '../events/inputs.ts';
import { roleOf } from './chart.ts';
import { acknowledge, alsoRelease, isStuck, isUnanswered, refusalRaisesDoubt, resend } from './effects.ts';
import { ask, askedOf, hostsToAsk, evidenceOf, recordAnswer, readHost, expireQuestions } from './evidence.ts';
import { endReleaseOfExpired, endStepsOnFencedHosts } from './fenced-steps.ts';
import { isFenced, markFenced, unmarkFenced, withFencedThirdHosts } from './fencing.ts';
import { finishStepsBySourceAnswer, giveUpOrigin, raiseNotice } from './answer-effects.ts';
import { addFormerOwners, contradicts, contradictsVerdict, mayStillAsk, neverAsked } from './doubt.ts';
import { breakStream, recordLifecycle } from './lifecycle-facts.ts';
import { withKnownHosts } from './known-hosts.ts';
import { type Leases, sameLeases, withoutLease } from './leases.ts';
import { type EventType, type Payload, pursue } from './migration.ts';
import {
  askNamedHost,
  concludeResolution,
  endStep,
  isResolving,
  openStep,
  toResolved,
  withoutResolving,
} from './resolution.ts';
import { concludeRound, type Judged, judgeAtDeadline, judgeRound, type StepContext, unjudged } from './round.ts';
import { seenOnHost, showsGuestOnThirdHost } from './third-hosts.ts';
import { alarm, alarmTaken, judge } from './verdicts.ts';

/** Known hosts of the site, and hosts that may still hold a lock, at the moment when a verdict is doubted. */
type Site = { readonly knownHosts: readonly string[]; readonly leftLocks: readonly string[] };

/** Applies one stimulus to an attempt and chooses the machine's event for it. */

export type Stimulus =
  | {
      type: 'returned';
      data: InputData<'landfall.migration.returned.v1'>;
      knownHosts: readonly string[];
      configuration: Attempt['configuration'];
    }
  | { type: 'answered'; data: InputData<'landfall.host.answered.v1'> }
  /** `site` is given if the attempt has a verdict that the event may cast doubt on. */
  | { type: 'lifecycle'; data: InputData<'landfall.host.lifecycle.v1'>; site?: Site }
  /** A third host showed the guest other than by a lifecycle event. */
  | { type: 'seen-elsewhere'; host: string; leases: Leases; site?: Site }
  /** The lock manager reported other holders. `site` is given if the attempt has a verdict. */
  | { type: 'leases'; leases: Leases; site?: Site }
  | { type: 'stream'; host: string; stream: 'connected' | 'lost' }
  | { type: 'acknowledged'; data: InputData<'landfall.command.acknowledged.v1'> }
  /** `asks`: the named host is asked before the resolution is taken. Hosts of a recording cannot be asked. */
  | { type: 'resolved'; data: InputData<'landfall.migration.resolved.v1'>; asks?: boolean }
  | { type: 'fenced'; host: string }
  | { type: 'lease-expired'; data: InputData<'landfall.volume.lease-expired.v1'> }
  /** `source` is the newer attempt's source. */
  | {
      type: 'superseded';
      by: string;
      source: string;
      configuration: Attempt['configuration'];
      knownHosts: readonly string[];
    }
  /** `knownHosts` are the hosts known now, for timers that begin another round. */
  | { type: 'timer'; kind: TimerKind; knownHosts?: readonly string[] };

/** An event of the machine. A timer's event is named after the timer's kind. */
export type Folded = { readonly type: EventType | TimerKind } & Payload;

/** Returns the machine's event for a stimulus; null if the stimulus changes nothing in this state. */
export function fold(before: AttemptState, stimulus: Stimulus, context: StepContext): Folded | null {
  const attempt = withFencedThirdHosts(before.attempt, context.isFenced);
  const state = attempt === before.attempt ? before : { ...before, attempt };
  const folded = foldStimulus(state, stimulus, context);
  return folded === null || attempt.resolving === undefined ? folded : resolvedBy(state, folded, context);
}

/** Evidence that settles or reopens the attempt overrides a resolution that waits for its host's answer. */
function resolvedBy(state: AttemptState, folded: Folded, context: StepContext): Folded {
  const { verdict, result, next } = folded;
  if (verdict !== null || result === 'reopen' || folded.type === 'SUPERSEDED')
    return { ...folded, next: withoutResolving(next) };
  const concluded = isResolving(state) ? concludeResolution(next, context) : null;
  if (concluded === null) return folded;
  return concluded.verdict === null ? { ...folded, next: concluded.next } : toEvent('RESOLVED', concluded, context);
}

function foldStimulus(state: AttemptState, stimulus: Stimulus, context: StepContext): Folded | null {
  const { attempt } = state;
  switch (stimulus.type) {
    case 'returned':
      return returned(state, stimulus, context);
    case 'answered':
      return applyAnswer(state, stimulus.data, context);
    case 'lifecycle':
      return lifecycle(state, stimulus, context);
    case 'seen-elsewhere': {
      const seen = { ...state, attempt: { ...attempt, leases: stimulus.leases } };
      return searchThirdHosts(seen, stimulus.host, stimulus.site, context);
    }
    case 'leases':
      return leasesReported(state, stimulus, context);
    case 'stream':
      return streamed(state, stimulus.host, stimulus.stream, context);
    case 'acknowledged':
      return acknowledged(attempt, stimulus.data, context);
    case 'resolved':
      return resolved(state, stimulus, context);
    case 'fenced':
      return isFenced(attempt, stimulus.host) ? null : fencedHost(state, stimulus.host, context);
    case 'lease-expired':
      return leaseExpired(state, stimulus.data, context);
    case 'superseded':
      return superseded(attempt, stimulus, context);
    case 'timer':
      return timer(state, stimulus, context);
    default:
      return unreachable(stimulus);
  }
}

function toEvent(type: Folded['type'], judged: Judged, { now }: StepContext): Folded {
  return { type, now, ...judged };
}

/** Records the call's return: later answers count as evidence, and the site's settings are fixed for this attempt. */
function closeCall(
  attempt: Attempt,
  stimulus: { configuration: Attempt['configuration']; knownHosts: readonly string[] },
  now: number,
): Attempt {
  return {
    ...withKnownHosts(attempt, stimulus.knownHosts),
    returnedAt: now,
    returnedSequence: attempt.sequence,
    configuration: stimulus.configuration,
    deadlineAt: now + stimulus.configuration.recheckTimeoutSeconds * 1000,
  };
}

function returned(
  state: AttemptState,
  stimulus: Extract<Stimulus, { type: 'returned' }>,
  context: StepContext,
): Folded | null {
  if (roleOf(state.value) !== 'in-flight') return returnedLate(state, stimulus, context);
  const next = { ...closeCall(state.attempt, stimulus, context.now), callError: stimulus.data.error ?? null };
  const sameHost = next.source === next.destination;
  const judged = sameHost ? concludeRound(next, judge(evidenceOf(next), 'now'), context) : unjudged(next);
  return toEvent('RETURNED', judged, context);
}

/** Applies a late report of success, which casts doubt on a verdict that followed from the call's failure. */
function returnedLate(
  state: AttemptState,
  { data, knownHosts }: Extract<Stimulus, { type: 'returned' }>,
  context: StepContext,
): Folded | null {
  if (!data.ok) return null;
  const doubted = state.attempt.verdicts.at(-1)?.outcome === 'rolled-back';
  const attempt = doubted ? withKnownHosts(state.attempt, knownHosts) : state.attempt;
  return askAgain(state, attempt, [attempt.source, attempt.destination], context, doubted);
}

function applyAnswer(
  state: AttemptState,
  data: InputData<'landfall.host.answered.v1'>,
  context: StepContext,
): Folded | null {
  const answered = recordAnswer(state.attempt, data);
  if (answered === state.attempt) return null;
  const reading = readHost(answered, data.host, askedOf(answered, data.host).answer);
  const noticed = raiseNotice(answered, reading, context.now);
  const next =
    data.host === answered.source ? pursue(finishStepsBySourceAnswer(noticed, reading), context.now) : noticed;
  return toEvent('EVIDENCE', judgeRound(state, next, context), context);
}

/** An event never settles an attempt. It adds proven facts, and both hosts are asked again at once. */
function lifecycle(
  state: AttemptState,
  { data, site }: Extract<Stimulus, { type: 'lifecycle' }>,
  context: StepContext,
): Folded | null {
  const { attempt } = state;
  if (data.host !== attempt.source && data.host !== attempt.destination)
    return showsGuestOnThirdHost(attempt, data)
      ? searchThirdHosts(state, data.host, site, context)
      : recordGuestOnThirdHost(attempt, data.host, context);
  const doubted = contradicts(attempt, data);
  const seen = recordLifecycle(attempt, data);
  const next =
    doubted && site !== undefined ? addFormerOwners(withKnownHosts(seen, site.knownHosts), site.leftLocks) : seen;
  return askAgain(state, next, [attempt.source, attempt.destination], context, doubted);
}

/** A third host that had the guest may hold its locks, so they are also released there. */
function recordGuestOnThirdHost(attempt: Attempt, host: string, context: StepContext): Folded | null {
  const next = addFormerOwners(attempt, [host]);
  if (next === attempt) return null;
  const releasing = alsoRelease(next, host);
  return toEvent(releasing === next ? 'EVIDENCE' : 'PROGRESS', unjudged(releasing), context);
}

/** Asks every known host, because a third host showed the guest. */
function searchThirdHosts(
  state: AttemptState,
  host: string,
  site: Site | undefined,
  context: StepContext,
): Folded | null {
  const { attempt } = state;
  const owned = alsoRelease(addFormerOwners(attempt, [host]), host);
  const sited = site === undefined ? owned : addFormerOwners(withKnownHosts(owned, site.knownHosts), site.leftLocks);
  const seen = seenOnHost(sited, host);
  const next = owned.steps === attempt.steps ? seen : pursue(seen, context.now);
  return askAgain(state, next, hostsToAsk(next), context, attempt.verdicts.length > 0);
}

/** Asks the hosts again if the attempt waits for answers. A verdict is examined again only if it is doubted. */
function askAgain(
  state: AttemptState,
  next: Attempt,
  asks: string[],
  context: StepContext,
  doubted: boolean,
): Folded | null {
  const role = roleOf(state.value);
  switch (role) {
    case 'in-flight':
    case 'undecided':
      return toEvent('EVIDENCE', { ...unjudged(next), result: 'again', asks }, context);
    case 'final-round': {
      const more = mayStillAsk(next, context) ? asks : neverAsked(next);
      if (more.length > 0) return toEvent('EVIDENCE', { ...unjudged(next), result: 'again', asks: more }, context);
      return next === state.attempt ? null : toEvent('EVIDENCE', unjudged(next), context);
    }
    case 'unproven':
      return toEvent('DOUBTED', unjudged(next), context);
    case 'superseded':
      return null;
    case 'settled':
      // A settled attempt does not follow its hosts' event streams, so a gap in them may have gone unnoticed.
      return doubted ? toEvent('DOUBTED', unjudged(breakStream(next, next.destination)), context) : null;
    case 'settling':
    case 'reexamining':
      return doubted ? toEvent('DOUBTED', unjudged(next), context) : null;
    default:
      return unreachable(role);
  }
}

/** Holders of leases never settle an attempt. If they contradict the answers, or no longer do, the hosts are asked again. */
function leasesReported(
  state: AttemptState,
  { leases, site }: Extract<Stimulus, { type: 'leases' }>,
  context: StepContext,
): Folded | null {
  const { attempt } = state;
  if (sameLeases(attempt.leases, leases)) return null;
  const next = { ...attempt, leases };
  const isWaiting = attempt.leaseDoubt !== undefined || roleOf(state.value) === 'unproven';
  const doubted = contradictsVerdict(next);
  if (!doubted && !isWaiting)
    return toEvent('EVIDENCE', unjudged(pursue(alarmTaken(next, context.now), context.now)), context);
  const sited = site === undefined ? next : withKnownHosts(next, site.knownHosts);
  return askAgain(state, sited, hostsToAsk(sited), context, doubted || attempt.leaseDoubt !== undefined);
}

function streamed(
  state: AttemptState,
  host: string,
  stream: 'connected' | 'lost',
  context: StepContext,
): Folded | null {
  const { attempt } = state;
  if (stream === 'connected') {
    const back = unmarkFenced(attempt, host);
    const asking = Object.hasOwn(attempt.asked, host) ? askAgain(state, back, [host], context, false) : null;
    return asking ?? (back === attempt ? null : toEvent('EVIDENCE', unjudged(back), context));
  }
  // A verdict may still be examined again, and a missing event proves nothing after a gap in the stream.
  const next = breakStream(attempt, host);
  return next !== attempt && attempt.shell.unbroken ? toEvent('EVIDENCE', unjudged(next), context) : null;
}

function acknowledged(
  attempt: Attempt,
  data: InputData<'landfall.command.acknowledged.v1'>,
  context: StepContext,
): Folded | null {
  const step = attempt.steps.find((candidate) => candidate.command === data.command);
  if (step === undefined || (step.status !== 'sent' && step.status !== 'refused')) return null;
  const applied = acknowledge(attempt, data.command, data.ok, data.error);
  const next = isStuck(applied) ? alarm(applied, 'lock-stuck', context.now) : applied;
  const asking =
    !data.ok && refusalRaisesDoubt(attempt, data.command) ? ask(next, hostsToAsk(next), context.now) : next;
  return toEvent('PROGRESS', unjudged(asking), context);
}

function resolved(
  state: AttemptState,
  { data, asks }: Extract<Stimulus, { type: 'resolved' }>,
  context: StepContext,
): Folded | null {
  const attempt = withoutResolving(state.attempt);
  const { command } = data;
  if (command !== undefined)
    return openStep(attempt, command) === undefined
      ? null
      : toEvent('PROGRESS', unjudged(endStep(attempt, command, data)), context);
  if (asks !== true || data.host === undefined) return toEvent('RESOLVED', toResolved(attempt, data, context), context);
  if (roleOf(state.value) !== 'unproven') return null;
  return toEvent('EVIDENCE', unjudged(askNamedHost(attempt, data, context.now)), context);
}

function leaseExpired(
  state: AttemptState,
  data: InputData<'landfall.volume.lease-expired.v1'>,
  context: StepContext,
): Folded | null {
  const { attempt } = state;
  const released = endReleaseOfExpired(withoutLease(attempt, data.volume, data.host), data.host, data.volume);
  const ofSource = data.host === attempt.source && attempt.volumes.some((volume) => volume.volume === data.volume);
  const isNew = ofSource && !attempt.expiredLeases.includes(data.volume);
  if (!isNew && released === attempt) return null;
  const next = isNew ? { ...released, expiredLeases: [...attempt.expiredLeases, data.volume] } : released;
  return toEvent('EVIDENCE', judgeRound(state, pursue(next, context.now), context), context);
}

/** A fenced host counts as gone and takes no command. An undecided attempt asks at once instead of at its next recheck. */
function fencedHost(state: AttemptState, host: string, context: StepContext): Folded {
  const next = pursue(endStepsOnFencedHosts(markFenced(state.attempt, host)), context.now);
  const judged = judgeRound(state, next, context);
  const role = roleOf(state.value);
  const isUndecided = role === 'undecided' || role === 'final-round' || role === 'unproven';
  const again = isUndecided && (judged.result === null || judged.result === 'wait');
  return toEvent('EVIDENCE', again ? { ...judged, result: 'again', asks: hostsToAsk(judged.next) } : judged, context);
}

/** Another migration of the VM was reported: this attempt gets one final round and is then decided as at its deadline. */
function superseded(
  attempt: Attempt,
  stimulus: Extract<Stimulus, { type: 'superseded' }>,
  context: StepContext,
): Folded {
  // A newer attempt from the same source may have moved a copy of the guest from there.
  const again = stimulus.source === attempt.source ? { twoCopies: true } : {};
  const marked = alarm({ ...attempt, ...again, supersededBy: stimulus.by }, 'superseded', context.now);
  const next =
    attempt.returnedAt === null
      ? {
          ...closeCall(marked, stimulus, context.now),
          callError: { kind: 'caller-lost' as const, message: 'the call never returned' },
        }
      : marked;
  return toEvent('SUPERSEDED', unjudged(next), context);
}

/** A timer fell due: open questions end, commands are sent again, or the hosts known by now are asked. */
function timer(
  state: AttemptState,
  { kind, knownHosts }: Extract<Stimulus, { type: 'timer' }>,
  context: StepContext,
): Folded {
  const { attempt } = state;
  switch (kind) {
    case 'question-limit': {
      const expired = pursue(giveUpOrigin(expireQuestions(attempt, context.now)), context.now);
      return toEvent(kind, judgeRound(state, expired, context), context);
    }
    case 'command-retry':
      return toEvent(
        kind,
        unjudged(resend(isUnanswered(attempt) ? alarm(attempt, 'lock-stuck', context.now) : attempt, context.now)),
        context,
      );
    case 'recheck':
    case 'deadline': {
      // The next round also asks hosts that were registered since the last one.
      const next = knownHosts === undefined ? attempt : withKnownHosts(attempt, knownHosts);
      const isOver = kind === 'deadline' && roleOf(state.value) === 'reexamining';
      return toEvent(kind, isOver ? judgeAtDeadline(next, context) : unjudged(next), context);
    }
    default:
      return unreachable(kind);
  }
}
