import type { Attempt, AttemptState } from '../events/attempt.ts';
import { unreachable } from '../events/fault.ts';
import type { Evidence, Verdict } from '../events/verdict.ts';
import { roleOf } from './chart.ts';
import { satisfies } from './decide.ts';
import { dropLocks } from './effects.ts';
import { askedOf, recordClosedRound, evidenceOf, isRoundClosed, forgetEmptyRound, readHost } from './evidence.ts';
import type { Result } from './migration.ts';
import { countLeaseRound } from './leases.ts';
import { GONE, isOneOf, LANDED } from './table.ts';
import { otherHosts } from './third-hosts.ts';
import { alarm, alarmed, type Judgement, judge, toVerdict } from './verdicts.ts';

/** Judges a round of answers, depending on the attempt's state. Only `decide` turns evidence into a decision. */

export type Judged = { next: Attempt; result: Result | null; verdict: Verdict | null; asks: readonly string[] };
/** `isFenced` tells whether a host of the site is fenced now; without it, the attempt's own record stands. */
export type StepContext = { now: number; nextToken: number; isFenced?: (host: string) => boolean };

/** Rows that contradict an existing verdict even while they wait. */
const CONTRADICTING_ROWS: ReadonlySet<string> = new Set([
  'both-alive',
  'third-host',
  'torn',
  'postcopy',
  'half-arrived',
  'contradiction',
]);

export const unjudged = (next: Attempt): Judged => ({ next, result: null, verdict: null, asks: [] });

/** Returns the result of the answers received so far, depending on what the attempt's state waits for. */
export function judgeRound(state: AttemptState, next: Attempt, context: StepContext): Judged {
  const role = roleOf(state.value);
  switch (role) {
    case 'undecided':
      return isRoundClosed(next) ? judgeUndecided(next, context, false) : unjudged(next);
    case 'final-round':
      return isRoundClosed(next) ? judgeUndecided(next, context, true) : unjudged(next);
    case 'unproven':
      return isRoundClosed(next) || next.fenced || next.expiredLeases.length > 0
        ? judgeUnproven(next, context)
        : unjudged(next);
    case 'settling':
    case 'reexamining':
      return isRoundClosed(next, next.judgedSequence) ? judgeDoubted(next, role, context) : unjudged(next);
    case 'in-flight':
    case 'settled':
    case 'superseded':
      return unjudged(next);
    default:
      return unreachable(role);
  }
}

/**
 * Judges a round of an attempt without a verdict. In the final round the `deadline` column decides if the `now` column
 * waits.
 */
function judgeUndecided(attempt: Attempt, context: StepContext, final: boolean): Judged {
  const counted = forgetEmptyRound(recordClosedRound(attempt, context.now));
  const evidence = evidenceOf(counted);
  const now = judge(evidence, 'now');
  const more = requestMissingAnswers(counted, now);
  if (more !== null) return more;
  const judgement = final && now.decision.outcome === 'wait' ? judge(evidence, 'deadline') : now;
  return concludeRound(counted, judgement, context);
}

/** Asks for answers that the row needs and this round did not ask for; null if it needs none. */
function requestMissingAnswers(attempt: Attempt, { decision, evidence }: Judgement): Judged | null {
  if (decision.askDestinationAgain) return { ...unjudged(attempt), result: 'again', asks: [attempt.destination] };
  // An empty third host counts only if it was asked after the source's answer had arrived.
  const { asksEveryone, asksEveryoneIf } = decision.row;
  const asksThem = asksEveryone === true && (asksEveryoneIf === undefined || satisfies(asksEveryoneIf, evidence));
  const others = otherHosts(attempt);
  const everyone = asksThem && !(attempt.searching && evidence.othersAskedLast) && others.length > 0;
  if (everyone) return { ...unjudged({ ...attempt, searching: true }), result: 'again', asks: others };
  return requestSecondEmptyRound(attempt, decision, evidence);
}

/** A guest is called stopped only after two whole rounds found it on no host. */
function requestSecondEmptyRound(
  attempt: Attempt,
  { row, outcome }: Judgement['decision'],
  evidence: Evidence,
): Judged | null {
  const { source, destination, others } = evidence;
  const isEmpty = [source, destination, ...others].every(({ presence }) => isOneOf(GONE, presence));
  if (row.asksEveryone !== true || !isEmpty || evidence.emptyTwice === true || outcome !== 'wait') return null;
  if (attempt.emptySequence !== undefined) return null;
  const next = { ...attempt, emptySequence: attempt.sequence };
  return { ...unjudged(next), result: 'again', asks: [source.host, destination.host, ...otherHosts(attempt)] };
}

/** Judges a contested or provisional verdict: later evidence proves it, replaces it, or opens the attempt again. */
function judgeUnproven(unproven: Attempt, context: StepContext): Judged {
  const isContested = unproven.verdicts.at(-1)?.contested === true;
  if (!isRoundClosed(unproven)) {
    const attempt = forgetEmptyRound(unproven);
    return (
      (isContested ? null : proveProvisional(attempt, judge(evidenceOf(attempt), 'now'), context)) ?? unjudged(attempt)
    );
  }
  const attempt = forgetEmptyRound(recordClosedRound(unproven, context.now));
  const judgement = judge(evidenceOf(attempt), 'now');
  const missing = requestMissingAnswers(attempt, judgement);
  if (missing !== null) return missing;
  const { outcome, row } = judgement.decision;
  if (outcome === 'completed' || outcome === 'rolled-back') return concludeRound(attempt, judgement, context);
  if (isContested) return judgeContested(attempt, judgement, context);
  const proven = proveProvisional(attempt, judgement, context);
  if (proven !== null) return proven;
  return CONTRADICTING_ROWS.has(row.id) ? reopen(attempt, judgement, context) : unjudged(attempt);
}

/** Judges a complete round of a contested attempt: its deadline has passed, so the `deadline` column counts too. */
function judgeContested(attempt: Attempt, now: Judgement, context: StepContext): Judged {
  const late = judge(now.evidence, 'deadline');
  if (now.decision.outcome === 'wait' && late.decision.outcome !== 'contested')
    return concludeRound(attempt, late, context);
  return unjudged(alarmed(attempt, now, context.now));
}

/**
 * A provisional completion is proven as soon as the source cannot write any more; null if the evidence does not prove it.
 */
function proveProvisional(attempt: Attempt, judgement: Judgement, context: StepContext): Judged | null {
  const { evidence } = judgement;
  const proof = evidence.sourceExcluded ? judge(evidence, 'deadline') : judgement;
  const { outcome, certainty } = proof.decision;
  return outcome === 'completed' && certainty === 'proven' ? concludeRound(attempt, proof, context) : null;
}

/** Judges a doubted verdict: newer answers confirm it, replace it, or open the attempt again. */
function judgeDoubted(doubted: Attempt, role: 'settling' | 'reexamining', context: StepContext): Judged {
  const before = forgetEmptyRound(doubted);
  const now = judge(evidenceOf(before), 'now');
  const more = requestMissingAnswers(before, now);
  if (more !== null) return more;
  const attempt = now.decision.lease === undefined ? countLeaseRound(before, undefined, context.now) : before;
  const standing = attempt.verdicts.at(-1);
  const { outcome, host, row } = now.decision;
  // A third host showed the guest, and its answer is missing: the verdict must not stand before it is known.
  if (now.evidence.thirdSilent !== undefined) return unjudged(attempt);
  // A settling attempt is opened again, because it has no later round. A verdict that is examined again waits for its next round.
  if (outcome === 'wait' && now.decision.lease !== undefined) return judgeLease(attempt, now, role, context);
  if (standing !== undefined && isBackAtSource(attempt, standing, now.evidence))
    return recordUnreportedMove(attempt, context);
  if (outcome === 'wait' && CONTRADICTING_ROWS.has(row.id)) return reopen(attempt, now, context);
  // Unknown answers and running jobs are asked about again until the attempt's deadline.
  if (outcome === 'wait')
    return isUnclear(now.evidence) ? unjudged(attempt) : { ...unjudged(attempt), result: 'stands' };
  if (outcome === standing?.outcome && host === standing.host) return { ...unjudged(attempt), result: 'stands' };
  return concludeRound(alarm(attempt, 'verdict-contradicted', context.now), now, context);
}

/**
 * Judges a doubted verdict at its deadline. It stays in force, unless a third host that showed the guest never answered: the guest
 * may run there.
 */
export function judgeAtDeadline(attempt: Attempt, context: StepContext): Judged {
  const late = judge(evidenceOf(attempt), 'deadline');
  const isContested = late.evidence.thirdSilent !== undefined && late.decision.outcome === 'contested';
  return isContested
    ? concludeRound(alarm(attempt, 'verdict-contradicted', context.now), late, context)
    : unjudged(attempt);
}

/** A lease contradicts the answers of a doubted verdict. */
function judgeLease(
  attempt: Attempt,
  judgement: Judgement,
  role: 'settling' | 'reexamining',
  context: StepContext,
): Judged {
  if (judgement.decision.lease === 'missing') return { ...unjudged(attempt), result: 'stands' };
  const counted = countLeaseRound(attempt, 'disagrees', context.now);
  return role === 'settling' ? reopen(counted, judgement, context) : unjudged(counted);
}

function isUnclear({ source, destination }: Evidence): boolean {
  return [source, destination].some(({ presence, job }) => presence === 'unknown' || job !== 'none');
}

/** Returns whether the guest came back to the source in a later migration: the verdict had proven the source empty. */
function isBackAtSource(attempt: Attempt, standing: Verdict, { destination }: Evidence): boolean {
  if (standing.outcome !== 'completed' || !isOneOf(GONE, standing.evidence.source.presence)) return false;
  // The source's boot does not matter, because the guest came back after this migration.
  const { answer } = askedOf(attempt, attempt.source);
  const { presence, job } = readHost({ ...attempt, sourceBoot: null }, attempt.source, answer);
  const isThere = isOneOf(LANDED, presence) && (presence === 'executing' || job === 'none');
  return isThere && isOneOf(GONE, destination.presence);
}

function recordUnreportedMove(attempt: Attempt, { now }: StepContext): Judged {
  return {
    ...unjudged({ ...dropLocks(alarm(attempt, 'moved-unreported', now)), movedTo: attempt.source }),
    result: 'stands',
  };
}

function reopen(attempt: Attempt, judgement: Judgement, { now }: StepContext): Judged {
  return { ...unjudged(alarmed(alarm(attempt, 'verdict-contradicted', now), judgement, now)), result: 'reopen' };
}

export function concludeRound(attempt: Attempt, judgement: Judgement, { now, nextToken }: StepContext): Judged {
  const { outcome, certainty, lease } = judgement.decision;
  const next = alarmed(countLeaseRound(attempt, lease, now), judgement, now);
  if (outcome === 'wait') return { ...unjudged({ ...next, waiting: waitingRow(next, judgement) }), result: 'wait' };
  const verdict = toVerdict(next, judgement, now, nextToken);
  const result = outcome === 'completed' && certainty === 'provisional' ? 'provisional' : outcome;
  return { next: { ...next, waiting: null }, result, verdict, asks: [] };
}

function waitingRow(attempt: Attempt, { decision }: Judgement): Attempt['waiting'] {
  const { row } = decision;
  return { row: row.id, host: row.leansToDestination === true ? attempt.destination : attempt.source };
}
