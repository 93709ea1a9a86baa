import type { Attempt, AttemptState, StateValue } from '../events/attempt.ts';
import type { Evidence, Verdict } from '../events/verdict.ts';
import { holds } from './decide.ts';
import { dropLocks } from './effects.ts';
import { askedOf, countRound, evidenceOf, isRoundClosed, noteEmpty, readHost } from './evidence.ts';
import type { Result } from './migration.ts';
import { GONE, isOneOf, LANDED } from './table.ts';
import { alarm, alarmed, type Judgement, judge, toVerdict } from './verdicts.ts';

/** Judges a round of answers in the light of the state the attempt is in. The verdict itself comes from `decide` alone. */

export type Judged = { next: Attempt; result: Result | null; verdict: Verdict | null; asks: readonly string[] };
export type StepContext = { now: number; nextToken: number };

/** Rows that, while they still wait, contradict a verdict that already stands. */
const CONTRADICTING_ROWS: ReadonlySet<string> = new Set([
  'both-alive',
  'torn',
  'postcopy',
  'half-arrived',
  'contradiction',
]);

export function path(value: StateValue): string {
  if (typeof value === 'string') return value;
  const [top, sub] = Object.entries(value)[0] ?? ['', ''];
  return `${top}.${sub}`;
}

export const nothing = (next: Attempt): Judged => ({ next, result: null, verdict: null, asks: [] });

/** What the answers so far come to, in this state. */
export function judgeRound(state: AttemptState, next: Attempt, context: StepContext): Judged {
  switch (path(state.value)) {
    case 'ApiFailed':
    case 'Migrating.verifying':
    case 'Rechecking.watching':
      return isRoundClosed(next) ? judgeOpen(next, context, false) : nothing(next);
    case 'Rechecking.finalRound':
      return isRoundClosed(next) ? judgeOpen(next, context, true) : nothing(next);
    case 'RolledBack.contested':
    case 'Completed.provisional':
      return isRoundClosed(next) || next.fenced || next.expiredLeases.length > 0
        ? judgeWatched(next, context)
        : nothing(next);
    case 'Completed.settling':
    case 'Completed.reexamining':
    case 'RolledBack.settling':
    case 'RolledBack.reexamining':
      return isRoundClosed(next, next.judgedSequence) ? judgeStanding(next, context) : nothing(next);
    default:
      return nothing(next);
  }
}

/** No verdict yet. In the last round the right column decides where the left one waits. */
function judgeOpen(attempt: Attempt, context: StepContext, final: boolean): Judged {
  const counted = noteEmpty(countRound(attempt, context.now));
  const evidence = evidenceOf(counted);
  const now = judge(evidence, 'now');
  const more = asksMore(counted, now);
  if (more !== null) return more;
  const judgement = final && now.decision.outcome === 'wait' ? judge(evidence, 'deadline') : now;
  return conclude(counted, judgement, context);
}

/** The row needs answers that this round did not ask for. */
function asksMore(attempt: Attempt, { decision, evidence }: Judgement): Judged | null {
  if (decision.askDestinationAgain) return { ...nothing(attempt), result: 'again', asks: [attempt.destination] };
  // Like the destination, the others count as gone only if they were asked after the source's answer.
  const { asksEveryone, asksEveryoneIf } = decision.row;
  const asksThem = asksEveryone === true && (asksEveryoneIf === undefined || holds(asksEveryoneIf, evidence));
  const everyone = asksThem && !(attempt.searching && evidence.othersAskedLast) && attempt.knownHosts.length > 0;
  if (everyone) return { ...nothing({ ...attempt, searching: true }), result: 'again', asks: attempt.knownHosts };
  return asksTwice(attempt, decision, evidence);
}

/** A guest that is called stopped was found nowhere in two whole rounds. */
function asksTwice(attempt: Attempt, { row }: Judgement['decision'], evidence: Evidence): Judged | null {
  const { source, destination, others } = evidence;
  const isEmpty = [source, destination, ...others].every(({ presence }) => isOneOf(GONE, presence));
  if (row.asksEveryone !== true || !isEmpty || evidence.emptyTwice === true) return null;
  if (attempt.emptySequence !== undefined) return null;
  const next = { ...attempt, emptySequence: attempt.sequence };
  return { ...nothing(next), result: 'again', asks: [source.host, destination.host, ...attempt.knownHosts] };
}

/** Contested, or completed provisionally: late evidence settles it. */
function judgeWatched(watched: Attempt, context: StepContext): Judged {
  const closed = isRoundClosed(watched);
  const attempt = noteEmpty(closed ? countRound(watched, context.now) : watched);
  const evidence = evidenceOf(attempt);
  const now = judge(evidence, 'now');
  const more = closed ? asksMore(attempt, now) : null;
  if (more !== null) return more;
  const decided = now.decision.outcome === 'completed' || now.decision.outcome === 'rolled-back';
  if (closed && decided) return conclude(attempt, now, context);
  if (attempt.verdicts.at(-1)?.contested === true)
    return nothing(closed ? alarmed(attempt, now, context.now) : attempt);
  const proof = evidence.sourceExcluded ? judge(evidence, 'deadline') : now;
  const { outcome, certainty, row } = proof.decision;
  if (outcome === 'completed' && certainty === 'proven') return conclude(attempt, proof, context);
  return closed && CONTRADICTING_ROWS.has(row.id) ? reopen(attempt, now, context) : nothing(attempt);
}

/** A verdict stands, and was doubted: fresh answers confirm it, replace it, or open the attempt again. */
function judgeStanding(doubted: Attempt, context: StepContext): Judged {
  const attempt = noteEmpty(doubted);
  const standing = attempt.verdicts.at(-1);
  const now = judge(evidenceOf(attempt), 'now');
  const more = asksMore(attempt, now);
  if (more !== null) return more;
  const { outcome, host, row } = now.decision;
  if (standing !== undefined && isBackAtSource(attempt, standing, now.evidence)) return moveOn(attempt, context);
  if (outcome === 'wait' && CONTRADICTING_ROWS.has(row.id)) return reopen(attempt, now, context);
  // What an unknown answer or a running job leaves open is asked again, until the machine's own deadline.
  if (outcome === 'wait') return isUnclear(now.evidence) ? nothing(attempt) : { ...nothing(attempt), result: 'stands' };
  if (outcome === standing?.outcome && host === standing.host) return { ...nothing(attempt), result: 'stands' };
  return conclude(alarm(attempt, 'verdict-contradicted', context.now), now, context);
}

function isUnclear({ source, destination }: Evidence): boolean {
  return [source, destination].some(({ presence, job }) => presence === 'unknown' || job !== 'none');
}

/** A source that was proven empty cannot have resumed: a guest that is there again, and no longer here, came back later. */
function isBackAtSource(attempt: Attempt, standing: Verdict, { destination }: Evidence): boolean {
  if (standing.outcome !== 'completed' || !isOneOf(GONE, standing.evidence.source.presence)) return false;
  // On whatever boot: it is not the guest of this migration any more.
  const { answer } = askedOf(attempt, attempt.source);
  const { presence, job } = readHost({ ...attempt, sourceBoot: null }, attempt.source, answer);
  const isThere = isOneOf(LANDED, presence) && (presence === 'executing' || job === 'none');
  return isThere && isOneOf(GONE, destination.presence);
}

function moveOn(attempt: Attempt, { now }: StepContext): Judged {
  return {
    ...nothing({ ...dropLocks(alarm(attempt, 'moved-unreported', now)), movedTo: attempt.source }),
    result: 'stands',
  };
}

function reopen(attempt: Attempt, judgement: Judgement, { now }: StepContext): Judged {
  return { ...nothing(alarmed(alarm(attempt, 'verdict-contradicted', now), judgement, now)), result: 'reopen' };
}

export function conclude(attempt: Attempt, judgement: Judgement, { now, nextToken }: StepContext): Judged {
  const { outcome, certainty } = judgement.decision;
  const next = alarmed(attempt, judgement, now);
  if (outcome === 'wait') return { ...nothing({ ...next, waiting: waitingBy(next, judgement) }), result: 'wait' };
  const verdict = toVerdict(next, judgement, now, nextToken);
  const result = outcome === 'completed' && certainty === 'provisional' ? 'provisional' : outcome;
  return { next: { ...next, waiting: null }, result, verdict, asks: [] };
}

function waitingBy(attempt: Attempt, { decision }: Judgement): Attempt['waiting'] {
  const { row } = decision;
  return { row: row.id, host: row.leansToDestination === true ? attempt.destination : attempt.source };
}
