import type { Attempt, AttemptState } from '../events/attempt.ts';
import type { TimerKind } from '../events/entries.ts';
import { unreachable } from '../events/fault.ts';
import type { InputData } from '../events/inputs.ts';
import type { Power } from '../events/vocabulary.ts';
import { roleOf } from './chart.ts';
import { acknowledge, alsoRelease, isStuck, finishStepsOnEmptySource, refusalRaisesDoubt, resend } from './effects.ts';
import {
  ask,
  askedOf,
  hostsToAsk,
  breakStream,
  evidenceOf,
  recordAnswer,
  readHost,
  expireQuestions,
  recordLifecycle,
} from './evidence.ts';
import { type EventType, type Payload, pursue } from './migration.ts';
import type { Reading } from './presence.ts';
import { concludeRound, type Judged, judgeRound, type StepContext, unjudged } from './round.ts';
import { GONE, isOneOf } from './table.ts';
import { alarm, judge, toResolution } from './verdicts.ts';

/** The hosts to hear, and those that a lock may have been left on, as they are known when a verdict is doubted. */
type Site = { readonly knownHosts: readonly string[]; readonly leftLocks: readonly string[] };

/** Folds one stimulus into an attempt and says which event the machine gets for it. */

export type Stimulus =
  | {
      type: 'returned';
      data: InputData<'landfall.migration.returned.v1'>;
      knownHosts: readonly string[];
      configuration: Attempt['configuration'];
    }
  | { type: 'answered'; data: InputData<'landfall.host.answered.v1'> }
  /** `site` where a verdict stands: what is known by now, if the event makes it doubted. */
  | { type: 'lifecycle'; data: InputData<'landfall.host.lifecycle.v1'>; site?: Site }
  | { type: 'stream'; host: string; stream: 'connected' | 'lost' }
  | { type: 'acknowledged'; data: InputData<'landfall.command.acknowledged.v1'> }
  | { type: 'resolved'; data: InputData<'landfall.migration.resolved.v1'> }
  | { type: 'fenced'; host: string }
  | { type: 'lease-expired'; data: InputData<'landfall.volume.lease-expired.v1'> }
  /** `source`: that of the newer attempt. */
  | {
      type: 'superseded';
      by: string;
      source: string;
      configuration: Attempt['configuration'];
      knownHosts: readonly string[];
    }
  /** `knownHosts`: as of now, for the deadlines that begin another round. */
  | { type: 'timer'; kind: TimerKind; knownHosts?: readonly string[] };

/** An event for the machine; the timers' events are named by their kind. */
export type Folded = { readonly type: EventType | TimerKind } & Payload;

/** The machine's event for a stimulus; null where it changes nothing in this state. */
export function fold(state: AttemptState, stimulus: Stimulus, context: StepContext): Folded | null {
  const { attempt } = state;
  switch (stimulus.type) {
    case 'returned':
      return returned(state, stimulus, context);
    case 'answered':
      return answered(state, stimulus.data, context);
    case 'lifecycle':
      return lifecycle(state, stimulus, context);
    case 'stream':
      return streamed(state, stimulus.host, stimulus.stream, context);
    case 'acknowledged':
      return acknowledged(attempt, stimulus.data, context);
    case 'resolved':
      return resolved(attempt, stimulus.data, context);
    case 'fenced':
      if (stimulus.host !== attempt.source || attempt.fenced) return null;
      return toEvent('EVIDENCE', judgeRound(state, { ...attempt, fenced: true }, context), context);
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

/** The call came back: from here on answers count, and the settings of the site are fixed for this attempt. */
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

/** The hosts to hear besides the ends, as they are known now. */
function withKnownHosts(attempt: Attempt, known: readonly string[]): Attempt {
  const { source, destination } = attempt;
  const knownHosts = known.filter((host) => host !== source && host !== destination);
  const same =
    knownHosts.length === attempt.knownHosts.length &&
    knownHosts.every((host, nth) => host === attempt.knownHosts[nth]);
  if (same) return attempt;
  // Who is heard for the first time has not been found empty once before.
  const { emptySequence: _, ...rest } = attempt;
  return { ...rest, knownHosts };
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

/** The call reports success after all: what was made of its failure is asked about again. */
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

function answered(
  state: AttemptState,
  data: InputData<'landfall.host.answered.v1'>,
  context: StepContext,
): Folded | null {
  const heard = recordAnswer(state.attempt, data);
  if (heard === state.attempt) return null;
  const reading = readHost(heard, data.host, askedOf(heard, data.host).answer);
  const noticed = raiseNotice(heard, reading, context.now);
  const next = data.host === heard.source ? pursue(finishStepsBySourceAnswer(noticed, reading), context.now) : noticed;
  return toEvent('EVIDENCE', judgeRound(state, next, context), context);
}

function raiseNotice(attempt: Attempt, reading: Reading, now: number): Attempt {
  if (attempt.returnedAt === null || reading.notice === undefined) return attempt;
  return alarm(attempt, reading.notice === 'starting-up' ? 'started-anew' : 'stray-process', now);
}

/** The source's answer may be what a step waits for: its leftover is gone, or the origin was asked once more. */
function finishStepsBySourceAnswer(attempt: Attempt, reading: Reading): Attempt {
  const gone = finishStepsOnEmptySource(attempt, isOneOf(GONE, reading.presence) || reading.otherBoot === true);
  const asking = gone.steps.find((step) => step.kind === 'ask-origin' && step.status === 'sent');
  if (asking === undefined) return gone;
  return { ...acknowledge(gone, asking.command, true, undefined), originPower: powerOf(reading) };
}

/** A guest's power as one reading tells it. */
export function powerOf({ presence }: Pick<Reading, 'presence'>): Power {
  switch (presence) {
    case 'executing':
    case 'postcopy':
      return 'running';
    case 'suspended':
    case 'switching':
    case 'incoming':
      return 'paused';
    case 'broken':
      return 'broken';
    case 'off':
    case 'absent':
    case 'handed-over':
      return 'stopped';
    case 'postcopy-failed':
      return 'lost';
    case 'unknown':
      return 'unknown';
    default:
      return unreachable(presence);
  }
}

/** An event settles nothing: it adds what it proves, and makes both hosts be asked again at once. */
function lifecycle(
  state: AttemptState,
  { data, site }: Extract<Stimulus, { type: 'lifecycle' }>,
  context: StepContext,
): Folded | null {
  const { attempt } = state;
  if (data.host !== attempt.source && data.host !== attempt.destination)
    return recordGuestOnThirdHost(attempt, data.host, context);
  const doubted = contradicts(attempt, data);
  const seen = recordLifecycle(attempt, data);
  const next =
    doubted && site !== undefined ? addFormerOwners(withKnownHosts(seen, site.knownHosts), site.leftLocks) : seen;
  return askAgain(state, next, [attempt.source, attempt.destination], context, doubted);
}

function addFormerOwners(attempt: Attempt, leftLocks: readonly string[]): Attempt {
  const more = leftLocks.filter((host) => host !== attempt.source && !attempt.formerOwners.includes(host));
  return more.length === 0 ? attempt : { ...attempt, formerOwners: [...attempt.formerOwners, ...more] };
}

/** A third host that had the guest while the attempt was open may have taken its locks: one is released there as well. */
function recordGuestOnThirdHost(attempt: Attempt, host: string, context: StepContext): Folded | null {
  const next = addFormerOwners(attempt, [host]);
  if (next === attempt) return null;
  const releasing = alsoRelease(next, host);
  return toEvent(releasing === next ? 'EVIDENCE' : 'PROGRESS', unjudged(releasing), context);
}

/** Events that a standing verdict does not expect: the guest starts to run, or leaves, where it should not. */
export function contradicts(attempt: Attempt, data: InputData<'landfall.host.lifecycle.v1'>): boolean {
  const verdict = attempt.verdicts.at(-1);
  if (verdict === undefined) return false;
  if (data.host === verdict.host)
    return data.event === 'Stopped' && data.detail === 'Migrated' && verdict.outcome === 'rolled-back';
  return data.event === 'Resumed' || (data.event === 'Started' && data.detail === 'Migrated');
}

/** Asks again where answers are waited for; a standing verdict is only asked about when it is doubted. */
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
    case 'final-round':
      if (mayStillAsk(next, context)) return toEvent('EVIDENCE', { ...unjudged(next), result: 'again', asks }, context);
      return next === state.attempt ? null : toEvent('EVIDENCE', unjudged(next), context);
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

/** Events may add to the last round for as long as one question takes; after that it ends, however many come. */
function mayStillAsk({ deadlineAt, configuration }: Attempt, { now }: StepContext): boolean {
  return deadlineAt !== null && now < deadlineAt + configuration.questionLimitSeconds * 1000;
}

function streamed(
  state: AttemptState,
  host: string,
  stream: 'connected' | 'lost',
  context: StepContext,
): Folded | null {
  const { attempt } = state;
  if (stream === 'connected')
    return Object.hasOwn(attempt.asked, host) ? askAgain(state, attempt, [host], context, false) : null;
  // Also where a verdict stands: a contested one is watched, and what was not heard is no proof of what did not happen.
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
  const told = acknowledge(attempt, data.command, data.ok, data.error);
  const next = isStuck(told) ? alarm(told, 'lock-stuck', context.now) : told;
  const asking =
    !data.ok && refusalRaisesDoubt(attempt, data.command) ? ask(next, hostsToAsk(next), context.now) : next;
  return toEvent('PROGRESS', unjudged(asking), context);
}

function resolved(attempt: Attempt, data: InputData<'landfall.migration.resolved.v1'>, context: StepContext): Folded {
  const verdict = toResolution(attempt, data, evidenceOf(attempt), context.now, context.nextToken);
  const result = verdict.outcome === 'completed' ? 'completed' : 'rolled-back';
  return toEvent('RESOLVED', { next: attempt, result, verdict, asks: [] }, context);
}

function leaseExpired(
  state: AttemptState,
  data: InputData<'landfall.volume.lease-expired.v1'>,
  context: StepContext,
): Folded | null {
  const { attempt } = state;
  const ofSource = data.host === attempt.source && attempt.volumes.some((volume) => volume.volume === data.volume);
  if (!ofSource || attempt.expiredLeases.includes(data.volume)) return null;
  const next = { ...attempt, expiredLeases: [...attempt.expiredLeases, data.volume] };
  return toEvent('EVIDENCE', judgeRound(state, next, context), context);
}

/** Another migration of the VM was reported: this attempt is asked about once more, and then decided as at its deadline. */
function superseded(
  attempt: Attempt,
  stimulus: Extract<Stimulus, { type: 'superseded' }>,
  context: StepContext,
): Folded {
  // One from the same source: whoever began it took the guest to be there still, and it may have left in that one.
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
      return toEvent(kind, unjudged(resend(attempt, context.now)), context);
    case 'recheck':
    case 'deadline':
      // The next round also asks hosts that were registered since the last one.
      return toEvent(kind, unjudged(knownHosts === undefined ? attempt : withKnownHosts(attempt, knownHosts)), context);
    default:
      return unreachable(kind);
  }
}

/** The origin did not answer when it was asked once more: that is what is recorded, and the rollback goes on. */
function giveUpOrigin(attempt: Attempt): Attempt {
  const asking = attempt.steps.find((step) => step.kind === 'ask-origin' && step.status === 'sent');
  if (asking === undefined || askedOf(attempt, attempt.source).dueAt !== null) return attempt;
  return { ...acknowledge(attempt, asking.command, true, undefined), originPower: 'unknown' };
}
