import type { IngestReport } from '../../consumers/ingest.ts';
import type { Attempt } from '../../events/attempt.ts';
import type { Entry } from '../../events/entries.ts';
import type { Verdict } from '../../events/verdict.ts';
import { table as verdictTable } from '../../machines/table.ts';
import { afterCall, overProofs } from './explain-verdict.ts';
import type { UploadReport } from '../event-upload.ts';
import type { Style, Tone } from './style.ts';
import { clean, cut, message, pad, plural, shortId, widthOf } from './text.ts';

/** `landfall ingest`: one line for each verdict as it falls, aligned with those before it; then what was taken. */

/** What the first lines leave room for, so that they stand under each other: mark, attempt, VM, outcome, row. */
const WIDTHS_MIN = [1, 26, 4, 21, 22];
/** One long name does not push all that follow to the right. */
const WIDTH_MAX = 32;

/** `name`: the VM's, where it is known. */
type Fallen = { readonly attempt: Attempt; readonly verdict: Verdict; readonly name: string | null };

/** The parts of a verdict's line, the last of them the reason. */
function verdictParts({ attempt, verdict, name }: Fallen): [tone: Tone, parts: readonly string[]] {
  const { contested, outcome, host, row, certainty, supersedes, resolution } = verdict;
  const [mark, tone]: [string, Tone] = contested
    ? ['✗', 'bad']
    : certainty === 'proven'
      ? ['✔', 'good']
      : ['≈', 'warn'];
  const what = contested
    ? `contested, record on ${host}`
    : `${outcome === 'completed' ? 'completed on' : 'rolled back to'} ${host}`;
  const by = resolution === null ? `row ${row}` : `operator ${resolution.operator}`;
  const again = supersedes === null ? '' : `, replaces verdict ${supersedes}`;
  const after = afterCall(attempt, verdict.decidedAt);
  return [
    tone,
    [
      mark,
      attempt.migration,
      nameOf(attempt, name),
      what,
      `${by} (${certainty}${again})`,
      `${after} — ${reasonOf(verdict)}`,
    ].map(clean),
  ];
}

/** A recording that is kept apart names its VMs after itself, as it does its attempts: once a line is enough. */
function nameOf({ migration, vm }: Attempt, name: string | null): string {
  const recording = migration.slice(0, Math.max(0, migration.lastIndexOf('/')));
  return name === null ? shortId(vm) : name.replace(` (${recording})`, '');
}

/** Why, as short as it can be said. */
function reasonOf({ row, error, contested, outcome, evidence, resolution }: Verdict): string {
  if (resolution !== null) return resolution.reason;
  if (contested) return message(error ?? 'not settled');
  const over = outcome === 'rolled-back' && row === 'stayed' ? overProofs(evidence)[0] : undefined;
  const why = verdictTable.find(({ id }) => id === row)?.why ?? '';
  return over ?? why.split(/(?<=\.) /)[0]?.replace(/\.$/, '') ?? '';
}

/** Prints verdicts as they are committed. It remembers VMs' names, and how wide its columns have become. */
export class VerdictPrinter {
  readonly #style: Style;
  readonly #print: (line: string) => void;
  readonly #names = new Map<string, string | null>();
  readonly #widths = [...WIDTHS_MIN];

  constructor(style: Style, print: (line: string) => void) {
    this.#style = style;
    this.#print = print;
  }

  committed(entries: readonly (Entry | { readonly entry: Entry })[]): void {
    for (const each of entries) this.#take('entry' in each ? each.entry : each);
  }

  #take({ record, attempt: state, verdict: number }: Entry): void {
    if (record !== null) this.#names.set(record.vm, record.name);
    const verdict = state?.attempt.verdicts.find((candidate) => candidate.number === number);
    if (state === null || verdict === undefined) return;
    const name = this.#names.get(state.attempt.vm) ?? null;
    this.#print(this.#line(verdictParts({ attempt: state.attempt, verdict, name })));
  }

  #line([tone, parts]: readonly [Tone, readonly string[]]): string {
    const last = parts.length - 1;
    const padded = parts.map((part, index) => {
      const width = Math.max(this.#widths[index] ?? 0, Math.min(WIDTH_MAX, widthOf(part)));
      this.#widths[index] = width;
      return index === last ? part : pad(part, width);
    });
    const line = padded.join('  ');
    const shown = this.#style.width === null ? line : cut(line, this.#style.width);
    return `${this.#style.paint(tone, shown.slice(0, 1))}${shown.slice(1)}`;
  }
}

/** What was sent elsewhere: what became of it there is told there. */
export function sendTotals({ lines, bad, sent, consumed, duplicates, refused }: UploadReport, style: Style): string {
  return totals(lines, style, [
    [sent, 'good', 'sent and durable, to be decided'],
    [consumed, 'good', 'taken in'],
    [duplicates, 'dim', 'known already'],
    [refused, 'warn', 'refused'],
    [bad, 'bad', 'unreadable'],
  ]);
}

export function ingestTotals(
  { lines, bad, consumed, duplicates, refused }: Omit<IngestReport, 'endings' | 'cutOff'>,
  style: Style,
): string {
  return totals(lines, style, [
    [consumed, 'good', 'taken in'],
    [duplicates, 'dim', `known already`],
    [refused, 'warn', 'refused, see landfall dead-letters'],
    [bad, 'bad', 'unreadable, see landfall dead-letters'],
  ]);
}

function totals(lines: number, style: Style, notes: readonly [number, Tone, string][]): string {
  const said = notes.filter(([count]) => count > 0).map(([count, tone, text]) => style.paint(tone, `${count} ${text}`));
  return `${plural(lines, 'line')} read${said.length === 0 ? '' : `: ${said.join(', ')}`}`;
}
