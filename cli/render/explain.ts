import type { Attempt, AttemptState } from '../../events/attempt.ts';
import type { Row } from '../../machines/table.ts';
import { path } from '../../machines/round.ts';
import { askedSection } from './explain-asked.ts';
import { factsOf } from './explain-facts.ts';
import { stepLines } from './explain-steps.ts';
import { afterCall, offersText, outcomeText, supersededLines, verdictLines, waitingLines } from './explain-verdict.ts';
import type { EntryOf } from './heard.ts';
import type { Style, Tone } from './style.ts';
import { clean, message, wrap } from './text.ts';
import { clock, duration, offset, wall } from './time.ts';

/** `landfall explain`: one attempt in words, for somebody who was asleep a minute ago. The answer first, then what it stands on. */

export type Explained = {
  readonly state: AttemptState;
  /** The attempt's own entries, in order. */
  readonly entries: readonly EntryOf[];
  /** The row of the standing verdict, or the one an undecided attempt waits by; undefined where today's table lacks it. */
  readonly row: Row | undefined;
  readonly name?: string | null;
  /** On the attempt's clock; by default the time of its last entry. */
  readonly now?: number;
};

type Section = readonly [title: string, lines: readonly string[]];

export function explain(explained: Explained, style: Style): string {
  const { state, entries, row } = explained;
  const { attempt } = state;
  const standing = attempt.verdicts.at(-1);
  const sections: Section[] = [
    ['The call', callLines(attempt)],
    [attempt.returnedAt === null ? 'What was asked' : 'What was asked after the call returned', askedSection(attempt, entries, style)],
    ['What is known beside that', factLines(explained, style)],
    ...(standing === undefined ? [] : [[`Verdict ${standing.number}`, verdictLines(attempt, standing, row)] as const]),
    ...(isWaiting(state) ? [['What it waits for', waitLines(explained)] as const] : []),
    ...(standing === undefined ? [] : [['What it did', stepLines(attempt, style)] as const]),
    ['Earlier verdicts', supersededLines(attempt)],
    ['Alarms', attempt.alarms.map(({ code, text, at }) => style.paint('bad', `! ${clean(text)} (${clean(code)}), ${afterCall(attempt, at)}`))],
    ['What you can do', operatorLines(state)],
  ];
  return [headline(explained, style), ...sections.filter(([, lines]) => lines.length > 0).map((section) => draw(section, style))].join('\n\n');
}

function draw([title, lines]: Section, style: Style): string {
  const body = lines.map((line) => `  ${line.includes('\n') ? line : wrap(line, style.width, line.startsWith('· ') ? '    ' : '  ')}`);
  return [style.paint('bold', title), ...body].join('\n');
}

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
    const doing = attempt.returnedAt === null ? 'the call is still running' : standing === undefined ? 'no verdict yet' : 'its verdict is in doubt and is being rechecked';
    return ['warn', `Undecided: ${doing} (${at}).`];
  }
  const by = standing.resolution === null ? `row ${standing.row}` : `by ${clean(standing.resolution.operator)}`;
  const open = at.endsWith('.settling') ? ' Not settled yet: steps are under way.' : at.endsWith('.reexamining') ? ' It is being examined again.' : '';
  const text = outcomeText(standing);
  const tone = standing.contested ? 'bad' : standing.certainty === 'provisional' || open !== '' ? 'warn' : 'good';
  return [tone, `${text.charAt(0).toUpperCase()}${text.slice(1)}: ${by}, ${afterCall(attempt, standing.decidedAt)}.${open}`];
}

const isUndecided = (at: string) => at.startsWith('Migrating') || at === 'ApiFailed' || at.startsWith('Rechecking');
const isWaiting = ({ value, attempt }: AttemptState) => isUndecided(path(value)) && attempt.returnedAt !== null;

function callLines(attempt: Attempt): string[] {
  const { startedAt, returnedAt, callError, flags, origin, clock: on } = attempt;
  const recorded = on === 'wall' ? '' : `, on the clock ${clean(on)}`;
  const asked = [...(attempt.storageCopied ? ['disks are copied'] : []), ...(attempt.leavePaused ? ['to be left paused'] : [])];
  const was = [`guest ${origin === 'unknown' ? 'in a state not known' : origin} before`, ...asked].join(', ');
  const began = `Started ${wall(startedAt)}${recorded}; ${was}${flags.length === 0 ? '' : `; ${clean(flags.join(' '))}`}.`;
  if (returnedAt === null) return [began, 'It has not returned.'];
  const after = duration(returnedAt - startedAt);
  if (callError === null) return [began, `Reported success after ${after}; both hosts were asked all the same.`];
  const code = callError.code === undefined ? '' : ` [${clean(callError.code)}]`;
  const kind = callKinds[callError.kind];
  const said = message(callError.message);
  const quoted = said === '' || kind.includes(said) ? '.' : ` — “${said}”`;
  return [began, `Failed after ${after}, at ${clock(returnedAt)}: ${kind}${code}${quoted}`];
}

const callKinds = {
  libvirt: 'libvirt itself returned an error',
  connection: 'the connection between caller and libvirtd broke',
  'caller-timeout': 'the caller was killed by its own time limit, the job may go on',
  'caller-lost': 'the caller died and reported nothing, the job may go on',
} as const;

function factLines({ state, entries }: Explained, style: Style): string[] {
  const facts = factsOf(state.attempt, entries);
  const width = Math.max(...facts.map(([label]) => label.length));
  return facts.map(([label, text]) => `${style.paint('dim', label.padEnd(width))}  ${text}`);
}

function waitLines({ state, entries, row, now }: Explained): string[] {
  const { waiting, pollAt, deadlineAt, returnedAt, rounds } = state.attempt;
  const at = now ?? entries.at(-1)?.entry.time ?? returnedAt ?? 0;
  const when = (time: number) => `${clock(time)} (${time >= at ? `in ${duration(time - at)}` : `due ${duration(at - time)} ago`})`;
  const by = waiting === null ? [rounds === 0 ? 'For the first answers to the questions above.' : 'For the answers of the round under way.'] : waitingLines(row, waiting.row);
  const times = [
    ...(pollAt === null ? [] : [`next round ${when(pollAt)}, or at once on any event of either host`]),
    ...(deadlineAt === null ? [] : [`last round ${when(deadlineAt)}${returnedAt === null ? '' : `, ${offset(deadlineAt - returnedAt)} after the call returned`}`]),
  ];
  return [...by, ...(times.length === 0 ? [] : [`${times.join('; ')}.`.replace(/^./, (first) => first.toUpperCase())])];
}

function operatorLines({ value, attempt }: AttemptState): string[] {
  const standing = attempt.verdicts.at(-1);
  const at = path(value);
  const open = at === 'RolledBack.contested' || at === 'Completed.provisional';
  if (standing === undefined || !open) return [];
  const resolve = (host: string) => `landfall resolve ${clean(attempt.migration)} --host ${clean(host)} --reason TEXT --attest`;
  const hosts = [attempt.source, attempt.destination].filter((host, index, all) => all.indexOf(host) === index);
  return [
    ...(standing.contested ? ['Until it is settled nothing may start, restart or migrate this VM. Later evidence settles it by itself.'] : []),
    ...(standing.offers.length === 0 ? [] : [`Offered, never done unasked: ${offersText(standing.offers)}.`]),
    `Look on both hosts: virsh domstate --reason ${clean(attempt.vm)}; virsh domjobinfo ${clean(attempt.vm)}`,
    'Then, for the host that has the guest, with the other one checked:',
    ...hosts.map((host) => `  ${resolve(host)}`),
  ];
}
