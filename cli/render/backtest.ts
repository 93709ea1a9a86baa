import type { Backtest } from '../../policies/backtest.ts';
import { type Cost, costs, costTexts } from '../../policies/cost.ts';
import { policyOf } from '../../policies/registry.ts';
import type { Tally } from '../../policies/tally.ts';
import type { Style, Tone } from './style.ts';
import { type Cell, cell, table } from './table.ts';
import { plural, wrap } from './text.ts';

/** Formats `landfall backtest`: the ranking of the policies, their costs, and a table of attempts. */

type Attempt = Backtest['attempts'][number];
type Decision = Attempt['decisions'][string];

/** Costs that lose data or a guest. */
const GRAVE: ReadonlySet<Cost> = new Set<Cost>(['migration-killed', 'guest-killed', 'two-writers-possible']);

export function backtestText({ policies, onSuccess, attempts }: Backtest, style: Style): string {
  if (attempts.length === 0 && onSuccess.every((tally) => counted(tally) === 0))
    return 'No failed call has returned yet, so there is nothing to compare.';
  const ranked = policies.toSorted((a, b) => b.right - a.right || a.wrong - b.wrong);
  const paragraphs = [
    attempts.length === 0 ? [] : [heading(attempts, style), ranking(ranked, style)],
    attempts.length === 0 ? [] : [matrix(attempts, ranked, style), style.paint('dim', marks)],
    onSuccess.some((tally) => counted(tally) > 0)
      ? [style.paint('bold', 'Calls that reported success'), ranking(onSuccess, style)]
      : [],
    costLegend([...policies, ...onSuccess], style),
  ];
  return paragraphs
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n');
}

const marks = '✓ right  ✗ wrong  ! wrong, a guest or its data is lost  – names no host  · truth not known';
const counted = ({ right, wrong, undecided }: Tally) => right + wrong + undecided;

/**
 * Returns the heading with the basis of the truth. If the truth is Landfall's own verdict, Landfall is right by
 * definition.
 */
function heading(attempts: readonly Attempt[], style: Style): string {
  const basis = (wanted: string | null) => attempts.filter(({ truth }) => (truth?.basis ?? null) === wanted).length;
  const [own, open] = [basis('verdict'), basis(null)];
  const notes = [
    ...(own > 0
      ? [
          `the truth of ${own} is Landfall’s own proven verdict, so Landfall is right by definition (use --truth FILE for another source)`,
        ]
      : []),
    ...(open > 0 ? [`${open} without a known truth are not counted`] : []),
  ];
  return `${style.paint('bold', plural(attempts.length, 'failed call'))}${notes.length === 0 ? '' : wrap(`; ${notes.join('; ')}`, style.width)}`;
}

const rankColumns = [
  { header: '', align: 'right' },
  { header: 'POLICY' },
  { header: 'RIGHT', align: 'right' },
  { header: 'WRONG', align: 'right' },
  { header: 'UNDECIDED', align: 'right' },
  { header: 'COST OF WRONG DECISIONS', flex: true },
] as const;

function ranking(tallies: readonly Tally[], style: Style): string {
  const rows = tallies.map((tally, index): Cell[] => [
    cell(String(index + 1), 'dim'),
    cell(policyOf(tally.id)?.label ?? tally.id, tally.id === 'landfall' ? 'bold' : 'plain'),
    cell(String(tally.right), 'good'),
    cell(String(tally.wrong), tally.wrong > 0 ? 'bad' : 'dim'),
    cell(String(tally.undecided), tally.undecided > 0 ? 'warn' : 'dim'),
    costText(tally),
  ]);
  return table(rankColumns, rows, style);
}

/** Lists the costs, the worst first. */
function costText({ costs: counts }: Tally): Cell {
  const found = costs.filter((cost) => cost !== 'none' && counts[cost] > 0).toReversed();
  if (found.length === 0) return cell('nothing', 'dim');
  return cell(
    found.map((cost) => `${counts[cost]}× ${cost}`).join(', '),
    found.some((cost) => GRAVE.has(cost)) ? 'bad' : 'warn',
  );
}

/** Returns a table of attempts whose columns are the policies' ranks, so that nine policies fit on a line. */
function matrix(attempts: readonly Attempt[], policies: readonly Tally[], style: Style): string {
  const columns = [
    { header: 'ATTEMPT', flex: true },
    { header: 'TRUE HOST' },
    ...policies.map((_, index) => ({ header: String(index + 1) })),
  ] as const;
  const rows = attempts.map(({ migration, truth, decisions }): Cell[] => [
    migration,
    truth === null ? cell('not known', 'dim') : `${truth.host}, ${truth.power}`,
    ...policies.map(({ id }) => mark(decisions[id])),
  ]);
  return table(columns, rows, style);
}

function mark(decision: Decision | undefined): Cell {
  if (decision === undefined || decision.cost === null) return cell('·', 'dim');
  const grave = GRAVE.has(decision.cost);
  const [text, tone]: [string, Tone] = grave
    ? ['!', 'bad']
    : decision.right === null
      ? ['–', 'warn']
      : decision.right
        ? ['✓', 'good']
        : ['✗', 'bad'];
  return cell(text, tone);
}

/** Explains the costs that occur. */
function costLegend(tallies: readonly Tally[], style: Style): string[] {
  const found = costs.filter((cost) => cost !== 'none' && tallies.some((tally) => tally.costs[cost] > 0)).toReversed();
  const width = Math.max(0, ...found.map((cost) => cost.length));
  return found.map((cost) =>
    style.paint('dim', `${cost.padEnd(width)}  ${wrap(costTexts[cost], style.width, ' '.repeat(width + 2))}`),
  );
}
