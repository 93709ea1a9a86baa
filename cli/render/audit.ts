import { DAMAGE_REMEDY } from '../../log/sqlite/faults.ts';
import type { Audit, Finding } from '../../projections/audit.ts';
import type { Style } from './style.ts';
import { type Cell, cell, table } from './table.ts';
import { message, plural } from './text.ts';

/** Formats `landfall audit`: checks, findings with their positions, and the head to keep elsewhere. */

/** An audit report, including findings that the command adds. */
export type AuditReport = Pick<Audit, 'entries' | 'head' | 'verdicts'> & {
  readonly findings: readonly (Omit<Finding, 'kind'> & { readonly kind: string })[];
};

const kindTexts: Readonly<Record<string, string>> = {
  altered: 'entry altered',
  missing: 'entries missing',
  reordered: 'entry out of order',
  cut: 'tail truncated',
  fork: 'chain forked',
  time: 'time went back',
  identity: 'input twice',
  token: 'fencing token',
  verdict: 'verdict differs',
  projection: 'projection differs',
  damaged: 'database damaged',
};

export function auditText({ entries, head, verdicts, findings }: AuditReport, style: Style): string {
  const tone = findings.length === 0 ? 'good' : 'bad';
  const result = findings.length === 0 ? '✔ no findings' : `✗ ${plural(findings.length, 'finding')}`;
  const lines = [
    `${style.paint(tone, result)}: ${plural(entries, 'entry', 'entries')} read, ${verdictsText(verdicts)}.`,
    ...(findings.length === 0 ? [] : ['', table(columns, findings.map(row), style)]),
    ...(findings.some(({ kind }) => kind === 'damaged') ? [DAMAGE_REMEDY] : []),
    '',
    ...headLines(head, style),
  ];
  return lines.join('\n');
}

const columns = [
  { header: 'POSITION', align: 'right' },
  { header: 'FINDING' },
  { header: 'WHAT', flex: true },
] as const;

function row({ position, kind, message: text }: AuditReport['findings'][number]): Cell[] {
  return [position, cell(kindTexts[kind] ?? kind, 'bad'), message(text)];
}

function verdictsText({ checked, differing, otherTable, byOperator }: Audit['verdicts']): string {
  const notes = [
    ...(differing > 0 ? [`${differing} with another result`] : []),
    ...(otherTable > 0 ? [`${otherTable} from another version of the table`] : []),
    ...(byOperator > 0 ? [`${byOperator} by an operator, not checked`] : []),
  ];
  return `${plural(checked, 'verdict')} decided again${notes.length === 0 ? '' : ` (${notes.join(', ')})`}`;
}

/** Returns the lines with the head. Only a head stored elsewhere reveals a truncated tail. */
function headLines({ position, hash }: Audit['head'], style: Style): string[] {
  return [
    `head  ${position}:${hash}`,
    style.paint('dim', 'Keep the head on another machine: landfall audit --head HEAD then finds a truncated tail.'),
  ];
}
