import type { IngestReport } from '../../consumers/ingest.ts';
import type { Attempt } from '../../events/attempt.ts';
import type { Entry } from '../../events/entries.ts';
import type { Verdict } from '../../events/verdict.ts';
import { rowText } from '../../machines/row-text.ts';
import { verdictPhrase } from '../../machines/status-words.ts';
import { table as verdictTable } from '../../machines/table.ts';
import { afterCall, overProofs } from './explain-verdict.ts';
import type { UploadReport } from '../event-upload.ts';
import type { Style, Tone } from './style.ts';
import { clean, cut, message, pad, plural, shortId, widthOf } from './text.ts';

/** Formats the output of `landfall ingest`: one aligned line per verdict, then the totals. */

/** The minimum column widths: mark, attempt, VM, outcome, row. They keep the first lines aligned. */
const WIDTHS_MIN = [1, 26, 4, 27, 22];
/** The maximum column width, so that one long name does not shift the following lines. */
const WIDTH_MAX = 32;

/** A verdict to print; `name` is null if the VM's name is unknown. */
type NewVerdict = { readonly attempt: Attempt; readonly verdict: Verdict; readonly name: string | null };

/** Returns the columns of a verdict's line; the last column is the reason. */
function verdictParts({ attempt, verdict, name }: NewVerdict): [tone: Tone, parts: readonly string[]] {
  const { contested, row, certainty, supersedes, resolution } = verdict;
  const [mark, tone]: [string, Tone] = contested
    ? ['✗', 'bad']
    : certainty === 'proven'
      ? ['✔', 'good']
      : ['≈', 'warn'];
  const by = resolution === null ? `row ${row}` : `operator ${resolution.operator}`;
  const again = supersedes === null ? '' : `, replaces verdict ${supersedes}`;
  const after = afterCall(attempt, verdict.decidedAt);
  return [
    tone,
    [
      mark,
      attempt.migration,
      nameOf(attempt, name),
      verdictPhrase(verdict),
      `${by} (${certainty}${again})`,
      `${after} — ${reasonOf(verdict)}`,
    ].map(clean),
  ];
}

/** With --apart, VM and attempt are both named after the recording; the line shows the recording once. */
function nameOf({ migration, vm }: Attempt, name: string | null): string {
  const recording = migration.slice(0, Math.max(0, migration.lastIndexOf('/')));
  return name === null ? shortId(vm) : name.replace(` (${recording})`, '');
}

/** Returns the short reason of a verdict. */
function reasonOf({ row, error, contested, outcome, evidence, resolution }: Verdict): string {
  if (resolution !== null) return resolution.reason;
  if (contested) return message(error ?? 'not settled');
  const over = outcome === 'rolled-back' && row === 'stayed' ? overProofs(evidence)[0] : undefined;
  const why = verdictTable.find(({ id }) => id === row)?.why ?? '';
  const [first = ''] = rowText(why, evidence).split(/(?<=\.) /);
  return over ?? first.replace(/\.$/, '');
}

/** Prints verdicts when they are committed. It remembers the names of VMs and the column widths. */
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

/** Formats the totals of an upload to a service or topic. */
export function sendTotals({ lines, bad, sent, consumed, duplicates, refused }: UploadReport, style: Style): string {
  return totals(lines, style, [
    [sent, 'good', 'sent and durable, not decided yet'],
    [consumed, 'good', 'accepted'],
    [duplicates, 'dim', 'already known'],
    [refused, 'warn', 'refused'],
    [bad, 'bad', 'unreadable'],
  ]);
}

export function ingestTotals(
  { lines, bad, consumed, duplicates, refused }: Omit<IngestReport, 'endings' | 'cutOff'>,
  style: Style,
): string {
  return totals(lines, style, [
    [consumed, 'good', 'accepted'],
    [duplicates, 'dim', 'already known'],
    [refused, 'warn', 'refused (see landfall dead-letters)'],
    [bad, 'bad', 'unreadable (see landfall dead-letters)'],
  ]);
}

function totals(lines: number, style: Style, notes: readonly [number, Tone, string][]): string {
  const said = notes.filter(([count]) => count > 0).map(([count, tone, text]) => style.paint(tone, `${count} ${text}`));
  return `${plural(lines, 'line')} read${said.length === 0 ? '' : `: ${said.join(', ')}`}`;
}
