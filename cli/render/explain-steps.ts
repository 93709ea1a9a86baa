import type { Attempt, Step } from '../../events/attempt.ts';
import type { Evidence } from '../../events/verdict.ts';
import { GONE, isOneOf, LANDED } from '../../machines/table.ts';
import type { Tone } from './style.ts';
import type { Style } from './style.ts';
import { type Cell, cell, table } from './table.ts';
import { clean, listed, message } from './text.ts';
import { clock } from './time.ts';

/** Formats the steps after a verdict: the action, its target and its status. */

const stepTexts: Readonly<Record<Step['kind'], string>> = {
  'post-migrate': 'reports the completed migration to the orchestrator',
  'after-migrate': 'runs the hook after post-migrate',
  'failed-to-migrate': 'reports the failed migration to the orchestrator',
  'fail-call': 'returns the error above to the caller',
  'ask-origin': 'asks the origin for the VM’s state again',
  'destroy-leftover': 'destroys the paused copy on the source, if it is still paused and the host has not rebooted',
  'release-lock': 'releases the lock',
  'acquire-lock': 'takes the lock exclusively',
  'resume-guest': 'resumes the guest after its locks are taken',
};

export function stepLines(attempt: Attempt, style: Style): string[] {
  const { steps } = attempt;
  const notes = lockNotes(attempt);
  if (steps.length === 0) return [nothingText(attempt), ...notes];
  const rows = steps.map((step) => row(step, attempt));
  const columns = [
    { header: 'STEP' },
    { header: 'HOST' },
    { header: 'VOLUME', flex: true },
    { header: 'STATUS', flex: true },
    { header: 'EFFECT', flex: true },
  ] as const;
  const observed = steps.every(({ status }) => status === 'observed');
  const head = observed
    ? ['Nothing was sent, because this attempt is a recording or only observed. A live attempt would take these steps.']
    : [];
  return [...head, table(columns, rows, style, '  ').replace(/^ {2}/, ''), ...notes];
}

function nothingText({ verdicts }: Attempt): string {
  const standing = verdicts.at(-1);
  if (standing === undefined) return 'No step: there is no verdict.';
  if (standing.certainty === 'provisional' && !standing.contested) {
    return `No step yet: hooks and locks wait for ${clean(missingProof(standing.evidence))}.`;
  }
  return 'No step follows from this verdict.';
}

/** Names the fact that a provisional verdict lacks, and the host that can report it. */
function missingProof({ source, destination }: Evidence): string {
  const isSourceGone = isOneOf(GONE, source.presence);
  if (isSourceGone && !isOneOf(LANDED, destination.presence))
    return `an answer of ${destination.host} that shows the guest there (${source.host} answers that the guest is gone)`;
  const said = source.presence === 'unknown' ? '' : `; at present it answers “${source.words}”`;
  return `proof about ${source.host}: an answer that the guest is gone, its fencing, or expired leases${said}`;
}

function row(step: Step, attempt: Attempt): Cell[] {
  const [text, tone] = statusOf(step, attempt);
  return [
    step.kind,
    step.host ?? cell('–', 'dim'),
    step.volume ?? cell('–', 'dim'),
    cell(text, tone),
    cell(stepTexts[step.kind], 'dim'),
  ];
}

function statusOf(step: Step, { steps, retryAt }: Attempt): [string, Tone] {
  const tries = step.tries > 1 ? `, try ${step.tries}` : '';
  const again = retryAt === null ? '' : `, again at ${clock(retryAt)}`;
  switch (step.status) {
    case 'waiting': {
      const before = steps
        .filter(({ command, status }) => step.after.includes(command) && status !== 'done')
        .map(({ kind }) => kind);
      return [`waits for ${listed([...new Set(before)]) || 'earlier steps'}`, 'warn'];
    }
    case 'sent':
      return [`sent, not acknowledged${tries}${again}`, 'warn'];
    case 'refused':
      return [`refused${tries}: ${message(step.error ?? 'no reason given')}${again}`, 'bad'];
    case 'done':
      return [`✔ done${tries}${step.ended === undefined ? '' : `: ${message(step.ended)}`}`, 'good'];
    case 'observed':
      return ['observed', 'dim'];
    case 'dropped':
      return [`dropped: ${message(step.error ?? 'another attempt or verdict replaced it')}`, 'dim'];
  }
}

function lockNotes({ volumes, verdicts }: Attempt): string[] {
  const standing = verdicts.at(-1);
  if (standing === undefined) return [];
  if (standing.contested) return ['The attempt is contested, so the locks stay as observed.'];
  const own = volumes
    .filter(({ shareable, lockedBy }) => !shareable && lockedBy === 'hypervisor')
    .map(({ volume }) => clean(volume));
  return own.length === 0
    ? []
    : [`The hypervisor’s lock manager moves the lease of ${listed(own)} itself; Landfall only observes it.`];
}
