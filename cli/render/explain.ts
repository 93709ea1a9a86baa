import type { AttemptState } from '../../events/attempt.ts';
import type { Row } from '../../machines/table.ts';
import { path } from '../../machines/chart.ts';
import { statusOf } from '../../machines/status-words.ts';
import { questionSection } from './explain-questions.ts';
import { callLines, operatorLines, waitLines } from './explain-call.ts';
import { factsOf } from './explain-facts.ts';
import { stepLines } from './explain-steps.ts';
import { afterCall, outcomeText, supersededLines, verdictLines } from './explain-verdict.ts';
import type { WithEntry } from './question-outcomes.ts';
import type { Style, Tone } from './style.ts';
import { clean, wrap } from './text.ts';

/**
 * Formats `landfall explain`: the verdict first, then the evidence. An operator at night should understand it without
 * other documents.
 */

export type Explained = {
  readonly state: AttemptState;
  /** The entries of this attempt, in order. */
  readonly entries: readonly WithEntry[];
  /**
   * The row of the standing verdict, or the row that an undecided attempt waits by; undefined if the present table
   * lacks it.
   */
  readonly row: Row | undefined;
  readonly name?: string | null;
  /** The time in the attempt's world; the default is the time of the last entry. */
  readonly now?: number;
};

type Section = readonly [title: string, lines: readonly string[]];

export function explain(explained: Explained, style: Style): string {
  const { state, entries, row } = explained;
  const { attempt } = state;
  const standing = attempt.verdicts.at(-1);
  const sections: Section[] = [
    ['The call', callLines(attempt)],
    [
      attempt.returnedAt === null ? 'Questions' : 'Questions after the call returned',
      questionSection(attempt, entries, style),
    ],
    ['Other evidence', factLines(explained, style)],
    ...(standing === undefined ? [] : [[`Verdict ${standing.number}`, verdictLines(attempt, standing, row)] as const]),
    ...(isWaiting(state)
      ? [['Next', waitLines(state, row, explained.now ?? entries.at(-1)?.entry.time ?? attempt.startedAt)] as const]
      : []),
    ...(standing === undefined ? [] : [['Steps', stepLines(attempt, style)] as const]),
    ['Earlier verdicts', supersededLines(attempt)],
    [
      'Alarms',
      attempt.alarms.map(({ code, text, at }) =>
        style.paint('bad', `! ${clean(text)} (${clean(code)}), ${afterCall(attempt, at)}`),
      ),
    ],
    ['Operator actions', operatorLines(state)],
  ];
  return [
    headline(explained, style),
    ...sections.filter(([, lines]) => lines.length > 0).map((section) => draw(section, style)),
  ].join('\n\n');
}

function draw([title, lines]: Section, style: Style): string {
  const body = lines.map(
    (line) => `  ${isLaidOut(line) ? line : wrap(line, style.width, line.startsWith('· ') ? '    ' : '  ')}`,
  );
  return [style.paint('bold', title), ...body].join('\n');
}

/** Returns true for tables and for commands to copy, which are never wrapped. */
const isLaidOut = (line: string) => line.includes('\n') || line.startsWith('  ');

function headline({ state, name }: Explained, style: Style): string {
  const { attempt } = state;
  const who = name === null || name === undefined ? attempt.vm : `${name} (${attempt.vm})`;
  const title = `${style.paint('bold', clean(attempt.migration))}  ${clean(who)}, ${clean(attempt.source)} → ${clean(attempt.destination)}`;
  const [tone, text] = resultOf(state);
  return `${title}\n${style.paint(tone, wrap(text, style.width))}`;
}

function resultOf({ value, attempt }: AttemptState): [Tone, string] {
  const standing = attempt.verdicts.at(-1);
  const at = path(value);
  if (standing === undefined || isUndecided(at)) {
    return ['warn', openText({ value, attempt })];
  }
  const by = standing.resolution === null ? `row ${standing.row}` : `by ${clean(standing.resolution.operator)}`;
  const open = at.endsWith('.settling')
    ? ' The attempt is not settled yet: steps are pending.'
    : at.endsWith('.reexamining')
      ? ' New evidence is being examined.'
      : '';
  const text = outcomeText(standing);
  const doubt = standing.contested ? ' The guest may be on both hosts or still moving.' : '';
  const tone = standing.contested ? 'bad' : standing.certainty === 'provisional' || open !== '' ? 'warn' : 'good';
  return [
    tone,
    `${text.charAt(0).toUpperCase()}${text.slice(1)}: ${by}, ${afterCall(attempt, standing.decidedAt)}.${doubt}${open}`,
  ];
}

function openText({ value, attempt }: Pick<AttemptState, 'value' | 'attempt'>): string {
  if (attempt.verdicts.length > 0)
    return 'Undecided: new evidence put the verdict in doubt, and the hosts are asked again.';
  if (attempt.returnedAt === null) return 'Migrating: the call is still running.';
  return statusOf({ value, attempt }) === 'migrating'
    ? 'Migrating: the call reported success, and the hosts are asked.'
    : 'Undecided: no verdict yet.';
}

const isUndecided = (at: string) => at.startsWith('Migrating') || at === 'ApiFailed' || at.startsWith('Rechecking');
const isWaiting = ({ value, attempt }: AttemptState) => isUndecided(path(value)) && attempt.returnedAt !== null;

function factLines({ state, entries }: Explained, style: Style): string[] {
  const facts = factsOf(state.attempt, entries);
  const width = Math.max(...facts.map(([label]) => label.length));
  const indent = ' '.repeat(width + 4);
  return facts.map(([label, text]) => `${style.paint('dim', label.padEnd(width))}  ${wrap(text, style.width, indent)}`);
}
