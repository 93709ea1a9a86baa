import type { Answer, Asked, Attempt } from '../events/attempt.ts';
import type { InputData } from '../events/inputs.ts';
import type { Evidence, Testimony } from '../events/verdict.ts';
import { GONE, isOneOf, LANDED } from './table.ts';
import { provesRan, type Reading, type Role, ranOf, readAnswer } from './presence.ts';

/**
 * Folds answers and events into an attempt, and sums them up as the evidence that `decide` takes.
 * Invariants 1 (asked after the failure), 2 (unknown is not absent) and 3 (a shell is not a guest) are kept here.
 */

/** libvirt queues a migration for up to 30 s before any job shows; 5 s more for the asking. */
export const QUIET_ROUNDS_APART_MS = 35_000;

const NEVER_ASKED: Asked = { asked: 0, dueAt: null, answer: null };

export function askedOf(attempt: Attempt, host: string): Asked {
  return (Object.hasOwn(attempt.asked, host) ? attempt.asked[host] : undefined) ?? NEVER_ASKED;
}

export function questionId(migration: string, sequence: number): string {
  return `${migration}/q${sequence}`;
}

/** The sequence in a question's id, if it is one of this attempt's. */
export function sequenceOf(question: string, migration: string): number | null {
  if (!question.startsWith(`${migration}/q`)) return null;
  const text = question.slice(migration.length + 2);
  return /^[1-9]\d{0,14}$/.test(text) ? Number(text) : null;
}

/**
 * Puts one question to each of `hosts`. The limit of a question that is still open is kept, so that events cannot stretch it;
 * `fresh` gives every question its whole limit.
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

/** Takes an answer in. One to an older question than the newest answered is stale and changes nothing. */
export function recordAnswer(attempt: Attempt, data: InputData<'landfall.host.answered.v1'>): Attempt {
  const question = sequenceOf(data.question, attempt.migration);
  const before = askedOf(attempt, data.host);
  if (question === null || question > before.asked || isStale(before.answer, question)) return attempt;
  const sequence = attempt.sequence + 1;
  const answer: Answer = { asked: question, arrived: sequence, ok: data.ok, domain: data.domain };
  if (data.error !== undefined) answer.error = data.error;
  if (data.strayProcess !== undefined) answer.strayProcess = data.strayProcess;
  if (data.boot !== undefined) answer.boot = data.boot;
  const dueAt = question === before.asked ? null : before.dueAt;
  const heard = {
    ...attempt,
    sequence,
    asked: { ...attempt.asked, [data.host]: { asked: before.asked, dueAt, answer } },
  };
  return addProvenFacts(data.host === attempt.source ? liftExclusion(heard, answer) : heard, data.host, answer);
}

/** A source that has the guest again, on whatever boot, is no longer kept from writing by what was reported of it before. */
function liftExclusion(attempt: Attempt, { ok, domain }: Answer): Attempt {
  const isThere = ok && domain !== null && domain.state !== 'shut off';
  return isThere && (attempt.fenced || attempt.expiredLeases.length > 0)
    ? { ...attempt, fenced: false, expiredLeases: [] }
    : attempt;
}

/** A question that ran out may still be answered late; otherwise only a newer question's answer replaces an older one's. */
function isStale(answer: Answer | null, question: number): boolean {
  if (answer === null) return false;
  return answer.timedOut === true ? question < answer.asked : question <= answer.asked;
}

/** Closes the questions whose limit has passed: their answer is `unknown`. */
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

/** Adds what an answer proves for good, whenever its question was asked: the outgoing job, the hand-over, running CPUs. */
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
    ...attempt,
    ...(provesSecondCopy(attempt, reading, answer) ? { twoCopies: true } : {}),
    ...leftoverAfter(attempt, reading),
    outgoingSeen: attempt.outgoingSeen || (reading.job === 'outgoing' && isOwnJob(attempt)),
    handedOver: attempt.handedOver || (isMigratedAway(answer) && mayHaveLeft),
    seenAtSource: attempt.seenAtSource || isOneOf([...LANDED, 'switching', 'postcopy'], reading.presence),
    sourceBoot: attempt.sourceBoot ?? answer.boot ?? null,
    origin: attempt.origin === 'unknown' && attempt.returnedAt === null ? originFrom(reading) : attempt.origin,
  };
}

function addFactsOfDestination(attempt: Attempt, answer: Answer): Attempt {
  const reading = readHost(attempt, attempt.destination, answer);
  const isLanded = isOneOf(LANDED, reading.presence);
  return {
    ...attempt,
    ...(isLanded && sourceHasSecondCopy(attempt, answer) ? { twoCopies: true } : {}),
    landedSequence: landedSequenceAfter(attempt, reading, answer),
    shell: shellAfter(attempt, reading, answer),
  };
}

/** Whether the source's last answer shows a copy of the guest beside the destination, which landed with this answer. */
function sourceHasSecondCopy(attempt: Attempt, { arrived }: Answer): boolean {
  const { answer } = askedOf(attempt, attempt.source);
  if (answer === null) return false;
  return provesSecondCopy({ ...attempt, landedSequence: arrived }, readHost(attempt, attempt.source, answer), answer);
}

/** An unknown presence changes nothing; any other one without the guest means that the destination has not landed. */
function landedSequenceAfter({ landedSequence }: Attempt, { presence }: Reading, { arrived }: Answer): number | null {
  if (isOneOf(LANDED, presence)) return landedSequence ?? arrived;
  return presence === 'unknown' ? landedSequence : null;
}

function shellAfter({ shell, origin }: Attempt, { presence }: Reading, answer: Answer): Attempt['shell'] {
  const isRebooted = shell.boot !== null && answer.boot !== undefined && shell.boot !== answer.boot;
  return {
    ...shell,
    ran: shell.ran || provesRan(presence, origin),
    arrived: shell.arrived || isOneOf(LANDED, presence) || (isMigratedAway(answer) && shell.started),
    started: shell.started || presence === 'incoming',
    unbroken: shell.unbroken && !isRebooted,
    boot: shell.boot ?? answer.boot ?? null,
  };
}

/** Another migration of the VM may be the one whose job shows: an older one from the same source, or one that began since. */
function isOwnJob({ sharesSource, supersededBy }: Attempt): boolean {
  return sharesSource !== true && supersededBy === null;
}

/** A source that stopped to hand over before this attempt's destination had a shell did so for an earlier one. */
function leftoverAfter({ sharesSource, shell }: Attempt, { presence }: Reading): Pick<Attempt, 'leftover'> {
  if (sharesSource !== true) return {};
  if (isOneOf(LANDED, presence)) return { leftover: false };
  return presence === 'switching' && !shell.started ? { leftover: true } : {};
}

/**
 * Whether the source's answer proves a copy of the guest beside a landed destination. An answer to a question from before the
 * landing proves a copy only if the source runs without a job and the call is over: nothing could move the guest any more.
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

function originFrom(reading: Reading): Attempt['origin'] {
  if (reading.presence === 'executing') return 'running';
  if (reading.presence === 'suspended' || reading.presence === 'broken') return 'paused';
  return reading.presence === 'off' ? 'stopped' : 'unknown';
}

/** Takes a lifecycle event in. It settles nothing: it adds only the hand-over and what the shell's history says of `ran`. */
export function recordLifecycle(attempt: Attempt, data: InputData<'landfall.host.lifecycle.v1'>): Attempt {
  if (data.host === attempt.source && attempt.source !== attempt.destination) {
    // So it says where it goes on after it had stopped to hand over.
    if (data.event === 'Resumed' && data.detail === 'Migrated') return { ...attempt, twoCopies: true };
    return data.event === 'Stopped' && data.detail === 'Migrated' ? { ...attempt, handedOver: true } : attempt;
  }
  if (data.host !== attempt.destination) return attempt;
  const { shell } = attempt;
  switch (data.event) {
    case 'Started':
      return data.detail === 'Migrated' ? { ...attempt, shell: { ...shell, started: true, stopped: false } } : attempt;
    case 'Resumed':
      return { ...attempt, shell: { ...shell, resumed: true, ran: shell.ran || shell.started } };
    case 'Stopped':
    case 'Crashed':
      // Of the shell: what ended before it began was something else.
      return {
        ...attempt,
        shell: { ...shell, stopped: shell.started, arrived: shell.arrived || data.detail === 'Migrated' },
      };
    default:
      return attempt;
  }
}

/** The destination's event stream was cut, or its host booted anew: what it did not deliver is no longer proof. */
export function breakStream(attempt: Attempt, host: string): Attempt {
  return host === attempt.destination ? { ...attempt, shell: { ...attempt.shell, unbroken: false } } : attempt;
}

/** The hosts whose answer a round waits for. */
export function hostsToAsk(attempt: Attempt): string[] {
  const ends = [attempt.source, attempt.destination];
  return attempt.searching ? [...ends, ...attempt.knownHosts] : ends;
}

/**
 * A round is closed when nobody it asked still owes an answer, and all were asked after `since`: the call's return by default.
 * Verdicts are made of closed rounds only, so the order in which answers arrive cannot matter.
 */
export function isRoundClosed(attempt: Attempt, since = attempt.returnedSequence): boolean {
  if (since === null) return false;
  return hostsToAsk(attempt).every((host) => {
    const { asked, dueAt } = askedOf(attempt, host);
    return dueAt === null && asked > since;
  });
}

/** Counts a closed round once: a new one needs answers of both ends newer than those of the last counted round. */
export function recordClosedRound(attempt: Attempt, now: number): Attempt {
  const newest = Math.min(askedOf(attempt, attempt.source).asked, askedOf(attempt, attempt.destination).asked);
  const isNew = newest > (attempt.countedSequence ?? 0);
  const counted = isNew ? { ...attempt, rounds: attempt.rounds + 1, countedSequence: attempt.sequence } : attempt;
  return recordQuietRound(counted, isNew, now);
}

/** Records since when the rounds show the guest on the source without a job, and nothing on the destination (row `stayed`). */
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

/** Everything a verdict can stand on, as of now. */
export function evidenceOf(attempt: Attempt): Evidence {
  const [source, sourceAnswer] = testimony(attempt, attempt.source);
  const [destination, destinationAnswer] = testimony(attempt, attempt.destination);
  const asked = attempt.knownHosts.map((host) => testimony(attempt, host));
  const others = asked.map(([said]) => said);
  return {
    sameHost: attempt.source === attempt.destination,
    source,
    destination,
    // What ran on the destination may have come in an earlier attempt from the same source.
    ran: attempt.sharesSource === true ? 'maybe' : ranOf(attempt.shell, destination.presence),
    origin: attempt.origin,
    leavePaused: attempt.leavePaused,
    storageCopied: attempt.storageCopied,
    libvirtError: attempt.callError?.kind === 'libvirt',
    outgoingSeen: attempt.outgoingSeen,
    ...(attempt.shell.started ? { shellSeen: true } : {}),
    quietRounds: attempt.quietRounds,
    destinationAskedLast: isAskedAfter(destinationAnswer, sourceAnswer),
    othersAskedLast: asked.every(([, answer]) => isAskedAfter(answer, sourceAnswer)),
    sourceAskedLast:
      sourceAnswer !== null && attempt.landedSequence !== null && sourceAnswer.asked > attempt.landedSequence,
    ...(attempt.twoCopies === true ? { twoCopies: true } : {}),
    ...(attempt.leftover === true ? { leftover: true } : {}),
    ...(isEmptyTwice(attempt) ? { emptyTwice: true } : {}),
    sourceExcluded: attempt.fenced || allLeasesExpired(attempt),
    others,
  };
}

/**
 * A guest that moves while hosts are asked one after the other can be missed by all of them. Two whole rounds, the second begun
 * when the first was over, miss it only if it moves twice. Where another migration has begun it may well do that.
 */
function isEmptyTwice(attempt: Attempt): boolean {
  const { emptySequence } = attempt;
  if (emptySequence === undefined || attempt.supersededBy !== null) return false;
  return [attempt.source, attempt.destination, ...attempt.knownHosts].every((host) => {
    const { answer } = askedOf(attempt, host);
    return answer !== null && answer.asked > emptySequence;
  });
}

/** Keeps since when every host is found empty; a round that finds somebody, or silence, begins anew. */
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

/** What a host last said, if it counts: invariant 1, an answer to a question asked before the call returned is discarded. */
function testimony(attempt: Attempt, host: string): [Testimony, Answer | null] {
  const { answer } = askedOf(attempt, host);
  const early = answer !== null && answer.asked <= (attempt.returnedSequence ?? Number.POSITIVE_INFINITY);
  const counting = early ? null : answer;
  const { presence, job, words } = readHost(attempt, host, counting);
  const question = counting === null ? null : questionId(attempt.migration, counting.asked);
  return [{ host, presence, job, question, words: early ? 'asked before the call returned' : words }, counting];
}

export function readHost(attempt: Attempt, host: string, answer: Answer | null): Reading {
  return readAnswer(answer, {
    role: roleOf(attempt, host),
    handedOver: attempt.handedOver,
    ran: attempt.shell.ran,
    sourceBoot: attempt.sourceBoot,
  });
}

function roleOf(attempt: Attempt, host: string): Role {
  if (host === attempt.source) return 'source';
  return host === attempt.destination ? 'destination' : 'other';
}
