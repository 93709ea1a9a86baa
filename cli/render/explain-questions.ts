import type { Attempt } from '../../events/attempt.ts';
import {
  type WithEntry,
  type QuestionOutcome,
  questionOutcomes,
  type OutcomeRun,
  groupRepeats,
} from './question-outcomes.ts';
import type { Style } from './style.ts';
import { type Cell, cell, table } from './table.ts';
import { clean, listed, plural } from './text.ts';
import { offset } from './time.ts';

/** Formats the questions after the call returned: each host's answer and Landfall's reading of the answer. */

const columns = [
  { header: 'QUESTION' },
  { header: 'HOST' },
  { header: 'ASKED', align: 'right' },
  { header: 'ANSWERED', align: 'right' },
  { header: 'LIBVIRT REPORTED', flex: true },
  { header: 'READ AS', flex: true },
  { header: '' },
] as const;

export function questionSection(attempt: Attempt, entries: readonly WithEntry[], style: Style): string[] {
  const { returnedAt, returnedSequence } = attempt;
  const outcomes = questionOutcomes(entries, attempt);
  const early = outcomes.filter(({ sequence }) => returnedSequence === null || sequence <= returnedSequence);
  if (returnedAt === null) return [earlyText(early, false)];
  const counting = outcomes.filter((outcome) => !early.includes(outcome));
  const decisive = decidedBy(attempt);
  const runs = groupRepeats(counting, ({ question }) => decisive.has(question));
  const rows = runs.map((run) =>
    row(run, returnedAt, attempt.settledAt === null, lastOf(run, counting) ? decisive : new Map()),
  );
  const lines =
    rows.length === 0
      ? ['No host was asked after the call returned.']
      : [table(columns, rows, style, '  ').replace(/^ {2}/, '')];
  return early.length === 0 ? lines : [...lines, style.paint('dim', earlyText(early, true))];
}

function earlyText(early: readonly QuestionOutcome[], returned: boolean): string {
  const questions = new Set(early.map(({ question }) => question)).size;
  const purpose = 'only as evidence of the job, the hand-over and the destination’s CPUs';
  if (questions === 0) return 'No host was asked yet.';
  return returned
    ? `${plural(questions, 'earlier question')}, asked during the call, count ${purpose}.`
    : `${plural(questions, 'question')} asked during the call, ${purpose}.`;
}

/** Maps each question to the verdicts that used its answer, as `verdict 1` or `verdicts 1 and 2`. */
function decidedBy({ verdicts }: Attempt): ReadonlyMap<string, string> {
  const numbers = new Map<string, number[]>();
  for (const { number, evidence, resolution } of verdicts) {
    if (resolution !== null) continue;
    for (const { question } of [evidence.source, evidence.destination, ...evidence.others]) {
      if (question !== null) numbers.set(question, [...(numbers.get(question) ?? []), number]);
    }
  }
  return new Map(
    [...numbers].map(([question, list]) => [
      question,
      `${list.length === 1 ? 'verdict' : 'verdicts'} ${listed(list.map(String))}`,
    ]),
  );
}

/**
 * Returns true if a run ends with the last outcome of its question. After a timeout and a late answer, a verdict uses
 * the late answer.
 */
function lastOf({ last }: OutcomeRun, outcomes: readonly QuestionOutcome[]): boolean {
  return outcomes.findLast(({ question }) => question === last.question) === last;
}

/** Returns the table row of a run: the time of its first question and of its last answer. */
function row(
  { first, last, count }: OutcomeRun,
  since: number,
  isOpen: boolean,
  decisive: ReadonlyMap<string, string>,
): Cell[] {
  const verdict = decisive.get(last.question);
  return [
    count === 1 ? shortQuestion(first) : `${shortQuestion(first)}…${shortQuestion(last)} ×${count}`,
    first.host,
    offset(first.askedAt - since),
    last.at === null ? cell(isOpen ? 'not yet' : 'never', 'dim') : offset(last.at - since),
    last.words,
    last.reading,
    verdict === undefined ? '' : cell(`◀ ${verdict}`, 'accent'),
  ];
}

const shortQuestion = ({ question, sequence }: QuestionOutcome) =>
  question.endsWith(`/q${sequence}`) ? `q${sequence}` : clean(question);
