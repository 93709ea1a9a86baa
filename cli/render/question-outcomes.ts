import { type Answered, inputSchemas } from '../../events/inputs.ts';
import type { Attempt } from '../../events/attempt.ts';
import type { Entry } from '../../events/entries.ts';
import { readHost, sequenceOf } from '../../machines/evidence.ts';
import { message } from './text.ts';
import { readingText } from './vocabulary.ts';

/** Collects the questions of an attempt and their outcomes from the ledger entries. */

export type WithEntry = { readonly entry: Entry };

/** One question with one outcome. A question that timed out and was answered late has two outcomes. */
export type QuestionOutcome = {
  readonly question: string;
  readonly sequence: number;
  readonly host: string;
  readonly askedAt: number;
  /** The time of the answer or timeout; null if the question is open or a newer question replaced it. */
  readonly at: number | null;
  /** The index of the entry with this outcome; null if there is none. */
  readonly order: number | null;
  /** The newer question that replaced this one before an answer; null if none did. */
  readonly supersededBy: number | null;
  readonly words: string;
  readonly reading: string;
};

/** Consecutive equal outcomes of one host. */
export type OutcomeRun = { readonly first: QuestionOutcome; readonly last: QuestionOutcome; readonly count: number };

export function questionOutcomes(entries: readonly WithEntry[], { migration }: Attempt): QuestionOutcome[] {
  const outcomes: QuestionOutcome[] = [];
  const open = new Map<string, QuestionOutcome>();
  for (const [order, { entry }] of entries.entries()) {
    const found = timeoutsIn(entry, [...open.values()]);
    outcomes.push(...found.map((outcome) => ({ ...outcome, order })));
    const answered = answerIn(entry);
    const asked = answered === null ? undefined : open.get(answered.question);
    if (answered !== null && asked !== undefined) outcomes.push({ ...outcomeOfAnswer(entry, answered, asked), order });
    for (const { question, host, askedAt } of entry.questions) {
      const sequence = sequenceOf(question, migration);
      if (sequence !== null) open.set(question, { ...UNANSWERED, question, sequence, host, askedAt });
    }
  }
  const closed = new Set(outcomes.map(({ question }) => question));
  const unanswered = [...open.values()]
    .filter(({ question }) => !closed.has(question))
    .map((outcome) => ({ ...outcome, supersededBy: nextOf(outcome, [...open.values()]) }));
  return [...outcomes, ...unanswered].sort((a, b) => a.sequence - b.sequence || (a.at ?? 0) - (b.at ?? 0));
}

const UNANSWERED = { at: null, order: null, supersededBy: null, words: '–', reading: '' } as const;

/** Returns the sequence of the next question to the same host. */
function nextOf({ host, sequence }: QuestionOutcome, all: readonly QuestionOutcome[]): number | null {
  const later = all.filter((other) => other.host === host && other.sequence > sequence).map((other) => other.sequence);
  return later.length === 0 ? null : Math.min(...later);
}

function answerIn({ cause }: Entry): Answered | null {
  if (cause.kind !== 'input' || cause.type !== 'landfall.host.answered.v1') return null;
  return inputSchemas['landfall.host.answered.v1'].safeParse(cause.data).data ?? null;
}

/** Returns the outcome of an answer. The attempt keeps only the newest answer, so an older one is marked as unused. */
function outcomeOfAnswer({ attempt: state, time }: Entry, answered: Answered, asked: QuestionOutcome): QuestionOutcome {
  const statement = statementOf(answered);
  const kept = state?.attempt.asked[asked.host]?.answer ?? null;
  if (state === null || kept?.asked !== asked.sequence)
    return { ...asked, at: time, words: statement, reading: 'not used: a newer answer was there' };
  const { presence, job, words } = readHost(state.attempt, asked.host, kept);
  const isUnclear = presence === 'unknown' && (answered.ok || answered.unknownWords !== undefined);
  const said = isUnclear ? `answered, but “${message(words)}”` : message(words);
  return { ...asked, at: time, words: said, reading: readingText(presence, job) };
}

function statementOf({ domain, ok, error, unknownWords }: Answered): string {
  if (domain !== null) return `${domain.state} (${domain.reason})`;
  if (unknownWords !== undefined) return `answered, but “${message(unknownWords)}”`;
  return ok ? 'not in the complete listing' : message(error ?? 'no answer');
}

function timeoutsIn({ attempt: state, time, cause }: Entry, open: readonly QuestionOutcome[]): QuestionOutcome[] {
  if (state === null || cause.kind !== 'timer') return [];
  return open
    .filter(({ host, sequence }) => {
      const answer = state.attempt.asked[host]?.answer;
      return answer?.timedOut === true && answer.asked === sequence && cause.timer === 'question-limit';
    })
    .map((asked) => ({ ...asked, at: time, words: 'no answer in time', reading: 'unknown' }));
}

/** Groups consecutive equal outcomes of a host. An answer that a verdict uses stays separate. */
export function groupRepeats(
  outcomes: readonly QuestionOutcome[],
  isDecisive: (outcomes: QuestionOutcome) => boolean,
): OutcomeRun[] {
  const runs: OutcomeRun[] = [];
  const current = new Map<string, number>();
  for (const outcome of outcomes) {
    const index = current.get(outcome.host) ?? -1;
    const run = runs[index];
    const joins =
      run !== undefined && !isDecisive(outcome) && !isDecisive(run.last) && isSameOutcome(run.last, outcome);
    if (joins) runs[index] = { ...run, last: outcome, count: run.count + 1 };
    else current.set(outcome.host, runs.push({ first: outcome, last: outcome, count: 1 }) - 1);
  }
  return runs;
}

const isSameOutcome = (a: QuestionOutcome, b: QuestionOutcome) =>
  a.words === b.words &&
  a.reading === b.reading &&
  (a.at === null) === (b.at === null) &&
  (a.supersededBy === null) === (b.supersededBy === null);
