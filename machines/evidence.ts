import type { Answer, Asked, Attempt } from '../events/attempt.ts';
import type { InputData } from '../events/inputs.ts';
import type { Evidence, Testimony } from '../events/verdict.ts';
import { GONE, isOneOf, LANDED } from './table.ts';
import { otherHosts, silentThirdHost, splitBrainOf } from './third-hosts.ts';
import { originAfter } from './origin.ts';
import { endAfterAnswer, endingOf } from './source-end.ts';
import { destinationFencing, isBackBy, isFenced, testimonyOfFenced, unmarkFenced } from './fencing.ts';
import { leaseEvidence } from './leases.ts';
import { isAnswered, isStandingStill, provesRan, type Reading, type Role, ranOf, readAnswer } from './presence.ts';

/**
 * Applies questions, answers and events to an attempt, and derives the evidence for `decide` from it. This module keeps
 * invariants 1 (asked after the failure), 2 (unknown is not absent) and 3 (a shell is not a guest).
 */

/** libvirt queues a migration for up to 30 s before it reports a job; 5 s are added for the question. */
export const QUIET_ROUNDS_APART_MS = 35_000;

const NEVER_ASKED: Asked = { asked: 0, dueAt: null, answer: null };

export function askedOf(attempt: Attempt, host: string): Asked {
  return (Object.hasOwn(attempt.asked, host) ? attempt.asked[host] : undefined) ?? NEVER_ASKED;
}

export function questionId(migration: string, sequence: number): string {
  return `${migration}/q${sequence}`;
}

/** Returns the sequence in a question's id; null if the question belongs to another attempt. */
export function sequenceOf(question: string, migration: string): number | null {
  if (!question.startsWith(`${migration}/q`)) return null;
  const text = question.slice(migration.length + 2);
  return /^[1-9]\d{0,14}$/.test(text) ? Number(text) : null;
}

/**
 * Asks each of `hosts` one question. A host with an open question keeps that question's limit, so that events cannot extend it;
 * `fresh` gives every question the full limit.
 */
export function ask(attempt: Attempt, hosts: readonly string[], now: number, fresh?: 'fresh'): Attempt {
  let { sequence } = attempt;
  const asked = { ...attempt.asked };
  for (const host of new Set(hosts)) {
    sequence += 1;
    const before = askedOf(attempt, host);
    const kept = fresh === undefined && before.dueAt !== null && before.dueAt > now ? before.dueAt : null;
    const dueAt = kept ?? now + attempt.configuration.questionLimitSeconds * 1000;
    asked[host] = { asked: sequence, dueAt, answer: before.answer };
  }
  return { ...attempt, sequence, asked };
}

/** Applies an answer. An answer to an unknown question, or one older than the kept answer, changes nothing. */
export function recordAnswer(attempt: Attempt, data: InputData<'landfall.host.answered.v1'>): Attempt {
  const question = sequenceOf(data.question, attempt.migration);
  const before = askedOf(attempt, data.host);
  if (question === null || question > before.asked || isStale(before.answer, question)) return attempt;
  const sequence = attempt.sequence + 1;
  const answer: Answer = { asked: question, arrived: sequence, ok: data.ok, domain: data.domain };
  if (data.error !== undefined) answer.error = data.error;
  if (data.unknownWords !== undefined) answer.unknownWords = data.unknownWords;
  if (data.strayProcess !== undefined) answer.strayProcess = data.strayProcess;
  if (data.leases !== undefined) answer.leases = data.leases;
  if (data.boot !== undefined) answer.boot = data.boot;
  const dueAt = question === before.asked ? null : before.dueAt;
  const heard = {
    ...attempt,
    sequence,
    asked: { ...attempt.asked, [data.host]: { asked: before.asked, dueAt, answer } },
  };
  const back = isBackBy(heard, data.host, answer) ? unmarkFenced(heard, data.host) : heard;
  return addProvenFacts(data.host === attempt.source ? liftExclusion(back, answer) : back, data.host, answer);
}

/** A source that has the guest again can write again, so leases that expired before no longer count. */
function liftExclusion(attempt: Attempt, { ok, domain }: Answer): Attempt {
  const isThere = ok && domain !== null && domain.state !== 'shut off';
  return isThere && attempt.expiredLeases.length > 0 && !attempt.fenced ? { ...attempt, expiredLeases: [] } : attempt;
}

/**
 * A late answer replaces a timeout of the same question. Otherwise only the answer to a newer question replaces the kept
 * one.
 */
function isStale(answer: Answer | null, question: number): boolean {
  if (answer === null) return false;
  return answer.timedOut === true ? question < answer.asked : question <= answer.asked;
}

/** Closes the questions whose limit has passed; their answers count as `unknown`. */
export function expireQuestions(attempt: Attempt, now: number): Attempt {
  let { sequence } = attempt;
  const asked = { ...attempt.asked };
  for (const [host, state] of Object.entries(attempt.asked)) {
    if (state.dueAt === null || state.dueAt > now) continue;
    sequence += 1;
    const answer: Answer = { asked: state.asked, arrived: sequence, ok: false, domain: null, timedOut: true };
    asked[host] = { asked: state.asked, dueAt: null, answer };
  }
  return { ...attempt, sequence, asked };
}

/**
 * Adds the facts that an answer proves permanently, independent of the time of its question: the outgoing job, the
 * hand-over, running CPUs.
 */
function addProvenFacts(attempt: Attempt, host: string, answer: Answer): Attempt {
  if (!answer.ok) return attempt;
  if (host === attempt.source && !isOtherBoot(attempt, answer)) return addFactsOfSource(attempt, answer);
  return host === attempt.destination ? addFactsOfDestination(attempt, answer) : attempt;
}

function addFactsOfSource(attempt: Attempt, answer: Answer): Attempt {
  const reading = readHost(attempt, attempt.source, answer);
  // "Shut off (migrated)" may stem from an older migration, unless this attempt saw the guest there or on its way.
  const mayHaveLeft = attempt.seenAtSource || attempt.outgoingSeen || attempt.shell.started;
  return {
    ...endAfterAnswer(attempt, reading, answer),
    ...(provesSecondCopy(attempt, reading, answer) ? { twoCopies: true } : {}),
    ...leftoverAfter(attempt, reading),
    outgoingSeen: attempt.outgoingSeen || (reading.job === 'outgoing' && isOwnJob(attempt)),
    handedOver: attempt.handedOver || (isMigratedAway(answer) && mayHaveLeft),
    seenAtSource: attempt.seenAtSource || isOneOf([...LANDED, 'switching', 'postcopy'], reading.presence),
    sourceBoot: attempt.sourceBoot ?? answer.boot ?? null,
    origin: originAfter(attempt, reading),
  };
}

function addFactsOfDestination(attempt: Attempt, answer: Answer): Attempt {
  const reading = readHost(attempt, attempt.destination, answer);
  const isLanded = isOneOf(LANDED, reading.presence);
  return {
    ...withEndBeforeShell(attempt, reading),
    ...(isLanded && sourceHasSecondCopy(attempt, answer) ? { twoCopies: true } : {}),
    landedSequence: landedSequenceAfter(attempt, reading, answer),
    shell: shellAfter(attempt, reading, answer),
  };
}

/**
 * The first answer that shows the shell proves that the guest was on its way, so the end that the source reported before that
 * answer counts too: the order of the two answers makes no difference.
 */
function withEndBeforeShell(attempt: Attempt, { presence }: Reading): Attempt {
  const { answer } = askedOf(attempt, attempt.source);
  if (presence !== 'incoming' || attempt.shell.started || answer === null || !answer.ok) return attempt;
  const seen = { ...attempt, shell: { ...attempt.shell, started: true } };
  return isOtherBoot(attempt, answer) ? attempt : endAfterAnswer(seen, readHost(seen, seen.source, answer), answer);
}

/**
 * Returns whether the source's last answer shows a copy of the guest beside the destination, which landed with this
 * answer.
 */
function sourceHasSecondCopy(attempt: Attempt, { arrived }: Answer): boolean {
  const { answer } = askedOf(attempt, attempt.source);
  if (answer === null) return false;
  return provesSecondCopy({ ...attempt, landedSequence: arrived }, readHost(attempt, attempt.source, answer), answer);
}

/**
 * An unknown presence changes nothing. Any other presence without the guest means that the guest has not landed on the
 * destination.
 */
function landedSequenceAfter({ landedSequence }: Attempt, { presence }: Reading, { arrived }: Answer): number | null {
  if (isOneOf(LANDED, presence)) return landedSequence ?? arrived;
  return presence === 'unknown' ? landedSequence : null;
}

/**
 * Returns whether the destination's guest stands still: the source has handed over, or it is empty and a second answer of the
 * destination shows the same. One answer may stem from a shell that is being destroyed.
 */
function standsStill(attempt: Attempt, host: string, answer: Answer | null): boolean {
  if (host !== attempt.destination || host === attempt.source || answer === null || !isStandingStill(answer))
    return false;
  if (attempt.handedOver) return true;
  const { stillSince } = attempt.shell;
  const source = readHost(attempt, attempt.source, askedOf(attempt, attempt.source).answer);
  return (
    attempt.shell.started && stillSince !== undefined && answer.asked > stillSince && isOneOf(GONE, source.presence)
  );
}

function stillAfter({ stillSince }: Attempt['shell'], answer: Answer): Pick<Attempt['shell'], 'stillSince'> {
  return isStandingStill(answer) ? { stillSince: stillSince ?? answer.asked } : {};
}

function shellAfter({ shell, origin }: Attempt, { presence }: Reading, answer: Answer): Attempt['shell'] {
  const isRebooted = shell.boot !== null && answer.boot !== undefined && shell.boot !== answer.boot;
  const { stillSince: _, ...past } = shell;
  return {
    ...past,
    ran: shell.ran || provesRan(presence, origin, (shell.unbroken && !isRebooted) || isStandingStill(answer)),
    ...stillAfter(shell, answer),
    arrived: shell.arrived || isOneOf(LANDED, presence) || (isMigratedAway(answer) && shell.started),
    started: shell.started || presence === 'incoming',
    unbroken: shell.unbroken && !isRebooted,
    boot: shell.boot ?? answer.boot ?? null,
  };
}

/**
 * Returns true if an outgoing job can only belong to this attempt, and not to an older attempt from the same source or a
 * newer attempt.
 */
function isOwnJob({ sharesSource, supersededBy }: Attempt): boolean {
  return sharesSource !== true && supersededBy === null;
}

/** A source that hands over before the destination of this attempt has a shell hands over for an earlier attempt. */
function leftoverAfter({ sharesSource, shell }: Attempt, { presence }: Reading): Pick<Attempt, 'leftover'> {
  if (sharesSource !== true) return {};
  if (isOneOf(LANDED, presence)) return { leftover: false };
  return presence === 'switching' && !shell.started ? { leftover: true } : {};
}

/**
 * Returns whether the source's answer proves a copy of the guest beside a landed destination. An answer to a question from
 * before the landing proves a copy only if the source runs without a job and the call is over: nothing could move the guest
 * any more.
 */
function provesSecondCopy(
  { landedSequence, returnedSequence }: Attempt,
  { presence, job }: Reading,
  { asked, domain }: Answer,
): boolean {
  if (landedSequence === null || !isOneOf(LANDED, presence)) return false;
  const isExecuting = presence === 'executing';
  if (asked > landedSequence) return isExecuting || job === 'none';
  const isCallOver = (returnedSequence !== null && asked > returnedSequence) || domain?.reason === 'migration canceled';
  return isExecuting && job === 'none' && isCallOver;
}

function isMigratedAway({ domain }: Answer): boolean {
  return domain?.state === 'shut off' && domain.reason === 'migrated';
}

function isOtherBoot(attempt: Attempt, answer: Answer): boolean {
  return attempt.sourceBoot !== null && answer.boot !== undefined && answer.boot !== attempt.sourceBoot;
}

/** Returns the hosts that a round asks. */
export function hostsToAsk(attempt: Attempt): string[] {
  const ends = [attempt.source, attempt.destination];
  return attempt.searching ? [...ends, ...otherHosts(attempt)] : ends;
}

/**
 * A round is closed when every asked host has answered a question newer than `since`, by default the call's return. Only closed
 * rounds lead to a verdict, so the order in which answers arrive does not matter.
 */
export function isRoundClosed(attempt: Attempt, since = attempt.returnedSequence): boolean {
  if (since === null) return false;
  return hostsToAsk(attempt).every((host) => {
    const { asked, dueAt } = askedOf(attempt, host);
    return dueAt === null && asked > since;
  });
}

/**
 * Counts a closed round once: a new round needs answers of source and destination that are newer than those of the last
 * counted round.
 */
export function recordClosedRound(attempt: Attempt, now: number): Attempt {
  const newest = Math.min(askedOf(attempt, attempt.source).asked, askedOf(attempt, attempt.destination).asked);
  const isNew = newest > (attempt.countedSequence ?? 0);
  const counted = isNew ? { ...attempt, rounds: attempt.rounds + 1, countedSequence: attempt.sequence } : attempt;
  return recordQuietRound(counted, isNew, now);
}

/**
 * Records the time since which the rounds show the guest on the source without a job, and nothing on the destination (row
 * `stayed`).
 */
function recordQuietRound(attempt: Attempt, isNew: boolean, now: number): Attempt {
  const { source, destination } = evidenceOf(attempt);
  const isQuiet = isOneOf(LANDED, source.presence) && source.job === 'none' && isOneOf(GONE, destination.presence);
  if (isQuiet) {
    const quietSince = attempt.quietSince ?? now;
    const quietRounds = attempt.quietRounds || (isNew && now - quietSince >= QUIET_ROUNDS_APART_MS);
    return { ...attempt, quietSince, quietRounds };
  }
  const isSilent = [source.presence, source.job, destination.presence].includes('unknown');
  return isSilent ? attempt : { ...attempt, quietSince: null, quietRounds: false };
}

/** Returns the evidence for `decide` from everything known at present. */
export function evidenceOf(attempt: Attempt): Evidence {
  const [source, sourceAnswer] = testimony(attempt, attempt.source);
  const [destination, destinationAnswer] = testimony(attempt, attempt.destination);
  const asked = otherHosts(attempt).map((host) => testimony(attempt, host));
  const others = asked.map(([said]) => said);
  // An earlier attempt from the same source may have moved the guest that ran on the destination.
  const ran = attempt.sharesSource === true ? 'maybe' : ranOf(attempt.shell, destination.presence);
  const { isAskedLast, ...fencing } = destinationFencing(attempt, sourceAnswer);
  return {
    sameHost: attempt.source === attempt.destination,
    source,
    destination,
    ran,
    origin: attempt.origin,
    leavePaused: attempt.leavePaused,
    storageCopied: attempt.storageCopied,
    libvirtError: attempt.callError?.kind === 'libvirt',
    ...(wasNotStarted(attempt) ? { notStarted: true } : {}),
    ...endingOf(attempt, { source, destination, ran, others }),
    outgoingSeen: attempt.outgoingSeen,
    ...(attempt.shell.started ? { shellSeen: true } : {}),
    quietRounds: attempt.quietRounds,
    destinationAskedLast: isAskedLast || isAskedAfter(destinationAnswer, sourceAnswer),
    othersAskedLast: asked.every(([{ host }, answer]) => isFenced(attempt, host) || isAskedAfter(answer, sourceAnswer)),
    sourceAskedLast:
      sourceAnswer !== null && attempt.landedSequence !== null && sourceAnswer.asked > attempt.landedSequence,
    ...(attempt.twoCopies === true ? { twoCopies: true } : {}),
    ...splitBrainOf(attempt),
    ...(attempt.leftover === true ? { leftover: true } : {}),
    ...(isEmptyTwice(attempt) ? { emptyTwice: true } : {}),
    sourceExcluded: attempt.fenced || allLeasesExpired(attempt),
    ...fencing,
    ...leaseEvidence(attempt, (host) => isFenced(attempt, host)),
    ...silentThirdHost(attempt, others),
    others,
  };
}

/**
 * Returns true if the orchestrator reported that it never called libvirt, and no job, shell or hand-over of this attempt refutes
 * the report.
 */
function wasNotStarted({ callError, outgoingSeen, handedOver, shell }: Attempt): boolean {
  return callError?.kind === 'not-started' && !outgoingSeen && !handedOver && !shell.started && !shell.resumed;
}

/**
 * A round can miss a guest that moves while the hosts are asked one after the other. Two consecutive rounds miss it only if it
 * moves twice, which is likely only after another migration has begun.
 */
function isEmptyTwice(attempt: Attempt): boolean {
  const { emptySequence } = attempt;
  if (emptySequence === undefined || attempt.supersededBy !== null) return false;
  return [attempt.source, attempt.destination, ...otherHosts(attempt)].every((host) => {
    const { answer } = askedOf(attempt, host);
    return answer !== null && answer.asked > emptySequence;
  });
}

/** Forgets the recorded empty round if a host has the guest again or its state is unknown. */
export function forgetEmptyRound(attempt: Attempt): Attempt {
  if (attempt.emptySequence === undefined) return attempt;
  const { source, destination, others } = evidenceOf(attempt);
  if ([source, destination, ...others].every(({ presence }) => isOneOf(GONE, presence))) return attempt;
  const { emptySequence: _, ...rest } = attempt;
  return rest;
}

function allLeasesExpired(attempt: Attempt): boolean {
  const exclusive = attempt.volumes.filter((volume) => !volume.shareable);
  return exclusive.length > 0 && exclusive.every(({ volume }) => attempt.expiredLeases.includes(volume));
}

function isAskedAfter(later: Answer | null, earlier: Answer | null): boolean {
  return later !== null && earlier !== null && later.asked > earlier.arrived;
}

/** Returns a host's last answer. Invariant 1: an answer to a question from before the call's return does not count. */
function testimony(attempt: Attempt, host: string): [Testimony, Answer | null] {
  const { answer } = askedOf(attempt, host);
  const early = answer !== null && answer.asked <= (attempt.returnedSequence ?? Number.POSITIVE_INFINITY);
  const counting = early ? null : answer;
  if (isFenced(attempt, host)) return [testimonyOfFenced(host), counting];
  const { presence, job, words } = readHost(attempt, host, counting);
  const question = counting === null ? null : questionId(attempt.migration, counting.asked);
  const said = { host, presence, job, question, words: early ? 'asked before the call returned' : words };
  const answered = presence === 'unknown' && counting !== null && isAnswered(counting);
  return [answered ? { ...said, answered } : said, counting];
}

export function readHost(attempt: Attempt, host: string, answer: Answer | null): Reading {
  return readAnswer(answer, {
    role: hostRoleOf(attempt, host),
    handedOver: attempt.handedOver,
    ran: attempt.shell.ran,
    standsStill: standsStill(attempt, host, answer),
    sourceBoot: attempt.sourceBoot,
  });
}

function hostRoleOf(attempt: Attempt, host: string): Role {
  if (host === attempt.source) return 'source';
  return host === attempt.destination ? 'destination' : 'other';
}
