import type { Status } from '../../events/vocabulary.ts';
import type { MigrationView } from '../../projections/attempts.ts';
import type { Style, Tone } from './style.ts';
import { type Cell, cell, table } from './table.ts';
import { message, plural, shortId } from './text.ts';
import { duration, millisecondsOf } from './time.ts';
import { certaintyTones } from './vocabulary.ts';

/** Formats `landfall migrations`: one line per attempt. */

export type MigrationItem = Pick<
  MigrationView,
  | 'migration'
  | 'vm'
  | 'source'
  | 'destination'
  | 'status'
  | 'at'
  | 'settled'
  | 'contested'
  | 'startedAt'
  | 'failedAt'
  | 'settledAt'
> & {
  readonly verdict: Pick<
    NonNullable<MigrationView['verdict']>,
    'row' | 'certainty' | 'error' | 'decidedAt' | 'host'
  > | null;
} & Partial<Pick<MigrationView, 'waiting' | 'error'>>;

/** Names of VMs by UUID; null if a VM has no name. */
export type Names = ReadonlyMap<string, string | null>;
const NO_NAMES: Names = new Map();

const columns = [
  { header: 'ATTEMPT', flex: true },
  { header: 'VM', flex: true },
  { header: 'SOURCE → DESTINATION', flex: true },
  { header: 'STATUS' },
  { header: 'ROW' },
  { header: 'CERTAINTY' },
  { header: 'TO VERDICT', align: 'right' },
  { header: 'ERROR OF THE CALL', flex: true },
] as const;

export function migrationsTable(items: readonly MigrationItem[], style: Style, names: Names = NO_NAMES): string {
  if (items.length === 0) return 'No migration attempt is recorded yet.';
  const body = table(
    columns,
    items.map((item) => row(item, names)),
    style,
  );
  return `${body}\n\n${style.paint('dim', summary(items))}`;
}

function row(item: MigrationItem, names: Names): Cell[] {
  const { verdict } = item;
  return [
    item.migration,
    names.get(item.vm) ?? shortId(item.vm),
    `${item.source} → ${item.destination}`,
    cell(statusText(item), statusTone(item)),
    verdict === null ? cell(waitingText(item), 'dim') : verdict.row,
    verdict === null ? cell('–', 'dim') : cell(verdict.certainty, certaintyTones[verdict.certainty]),
    timeToVerdict(item),
    errorCell(item),
  ];
}

const waitingText = ({ waiting }: MigrationItem) =>
  waiting === null || waiting === undefined ? '–' : `matches ${waiting}`;

const remarks: readonly [end: string, remark: string][] = [
  ['.superseded', ' (superseded)'],
  ['.settling', ' (settling)'],
  ['.reexamining', ' (examined again)'],
];

/** Returns the status of an attempt, with a remark if Landfall still works on a decided one or another attempt replaced it. */
function statusText({ status, at, verdict }: MigrationItem): string {
  if (status === 'undecided') return verdict === null ? status : `${status} (in doubt again)`;
  return `${status}${remarks.find(([end]) => at.endsWith(end))?.[1] ?? ''}`;
}

function statusTone({ status, settled }: MigrationItem): Tone {
  if (status === 'contested') return 'bad';
  if (!settled) return 'warn';
  return status === 'completed' ? 'good' : 'plain';
}

/** Returns the time from the failure to the standing verdict; a successful call has no such time. */
function timeToVerdict({ failedAt, verdict }: MigrationItem): Cell {
  if (verdict === null || failedAt === null) return cell('–', 'dim');
  return duration(millisecondsOf(verdict.decidedAt) - millisecondsOf(failedAt));
}

/** For a contested attempt, the doubt is more useful than the error of the call. */
function errorCell({ error, verdict, contested }: MigrationItem): Cell {
  const text = contested ? (verdict?.error ?? error) : (error ?? verdict?.error);
  return text === null || text === undefined ? cell('none', 'dim') : message(text);
}

function summary(items: readonly MigrationItem[]): string {
  const count = (test: (item: MigrationItem) => boolean) => items.filter(test).length;
  const words: readonly Status[] = ['completed', 'provisional', 'rolled back', 'contested', 'undecided', 'migrating'];
  const counts = words.map((word): [number, Status] => [count(({ status }) => status === word), word]);
  const named = counts.filter(([number]) => number > 0).map(([number, word]) => `${number} ${word}`);
  return `${plural(items.length, 'attempt')}: ${named.join(', ')}`;
}
