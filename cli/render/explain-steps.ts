import type { Attempt, Step } from '../../events/attempt.ts';
import type { Tone } from './style.ts';
import type { Style } from './style.ts';
import { type Cell, cell, table } from './table.ts';
import { clean, listed, message } from './text.ts';
import { clock } from './time.ts';

/** Formats the steps after a verdict: the action, its target and its status. */

const stepTexts: Readonly<Record<Step['kind'], string>> = {
  'post-migrate': 'tells the orchestrator that the VM arrived',
  'after-migrate': 'the hook that follows it',
  'failed-to-migrate': 'tells the orchestrator that the VM did not move',
  'fail-call': 'fails the caller with the error above',
  'ask-origin': 'asks the origin for the VM’s state once more',
  'destroy-leftover': 'ends the paused copy on the source, if still paused on the same boot',
  'release-lock': 'releases the lock',
  'acquire-lock': 'takes the lock exclusively',
  'resume-guest': 'resumes the guest, once its locks are held',
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
    { header: 'WHAT IT DOES', flex: true },
  ] as const;
  const observed = steps.every(({ status }) => status === 'observed');
  const head = observed
    ? ['Nothing was sent: this attempt is a recording, or is only observed. These steps would have been taken.']
    : [];
  return [...head, table(columns, rows, style, '  ').replace(/^ {2}/, ''), ...notes];
}

function nothingText({ verdicts }: Attempt): string {
  const standing = verdicts.at(-1);
  if (standing === undefined) return 'Nothing: no verdict has been made.';
  if (standing.certainty === 'provisional' && !standing.contested) {
    return `Nothing yet: hooks and locks wait for proof about ${clean(standing.evidence.source.host)} (it answers that the guest is gone, it is fenced, or its leases expire).`;
  }
  return 'Nothing: no step follows from this verdict.';
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
      return [`waits for ${listed([...new Set(before)]) || 'its turn'}`, 'warn'];
    }
    case 'sent':
      return [`sent, not acknowledged${tries}${again}`, 'warn'];
    case 'refused':
      return [`refused${tries}: ${message(step.error ?? 'no reason given')}${again}`, 'bad'];
    case 'done':
      return [`✔ done${tries}`, 'good'];
    case 'observed':
      return ['observed', 'dim'];
    case 'dropped':
      return ['dropped: no longer this attempt’s to do', 'dim'];
  }
}

function lockNotes({ volumes, verdicts }: Attempt): string[] {
  const standing = verdicts.at(-1);
  if (standing === undefined) return [];
  if (standing.contested) return ['Locks are left as they were observed.'];
  const own = volumes
    .filter(({ shareable, lockedBy }) => !shareable && lockedBy === 'hypervisor')
    .map(({ volume }) => clean(volume));
  return own.length === 0
    ? []
    : [`The hypervisor’s lock manager moves the lease of ${listed(own)} itself; Landfall only watches it.`];
}
