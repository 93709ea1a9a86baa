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
  const decisive = decidedBy(attempt, outcomes, entries);
  const runs = groupRepeats(counting, (outcome) => decisive.has(outcome));
  const rows = runs.map((run) => row(run, returnedAt, attempt.settledAt === null, decisive));
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

/**
 * Maps outcomes to the verdicts that stood on them, as `verdict 1` or `verdicts 1 and 2`. A verdict stands on the newest outcome
 * of its question that the ledger had when it was made; a later answer to the same question is not its evidence.
 */
function decidedBy(
  { verdicts }: Attempt,
  outcomes: readonly QuestionOutcome[],
  entries: readonly WithEntry[],
): ReadonlyMap<QuestionOutcome, string> {
  const numbers = new Map<QuestionOutcome, number[]>();
  for (const { number, evidence, resolution } of verdicts) {
    if (resolution !== null) continue;
    const madeIn = entries.findIndex(({ entry }) => entry.verdict === number);
    for (const { question } of [evidence.source, evidence.destination, ...evidence.others]) {
      const before = outcomes.filter((each) => each.question === question && (each.order ?? madeIn + 1) <= madeIn);
      const stood = before.sort((a, b) => (a.order ?? 0) - (b.order ?? 0)).at(-1);
      if (stood !== undefined) numbers.set(stood, [...(numbers.get(stood) ?? []), number]);
    }
  }
  return new Map(
    [...numbers].map(([outcome, list]) => [
      outcome,
      `${list.length === 1 ? 'verdict' : 'verdicts'} ${listed(list.map(String))}`,
    ]),
  );
}

/** Returns the table row of a run: the time of its first question and of its last answer. */
function row(
  { first, last, count }: OutcomeRun,
  since: number,
  isOpen: boolean,
  decisive: ReadonlyMap<QuestionOutcome, string>,
): Cell[] {
  const verdict = decisive.get(last);
  return [
    count === 1 ? shortQuestion(first) : `${shortQuestion(first)}…${shortQuestion(last)} ×${count}`,
    first.host,
    offset(first.askedAt - since),
    last.at === null ? cell(unansweredText(last, isOpen), 'dim') : offset(last.at - since),
    last.words,
    last.reading,
    verdict === undefined ? '' : cell(`◀ ${verdict}`, 'accent'),
  ];
}

function unansweredText({ supersededBy }: QuestionOutcome, isOpen: boolean): string {
  if (supersededBy !== null) return `superseded by q${supersededBy}`;
  return isOpen ? 'not yet' : 'no answer needed';
}

const shortQuestion = ({ question, sequence }: QuestionOutcome) =>
  question.endsWith(`/q${sequence}`) ? `q${sequence}` : clean(question);
