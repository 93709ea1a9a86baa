import { defaultConfiguration } from '../../events/configuration.ts';
import type { Presence } from '../../events/vocabulary.ts';
import { QUIET_ROUNDS_APART_MS } from '../../machines/evidence.ts';
import {
  type AlarmCode,
  type Column,
  conditionTexts,
  GONE,
  LANDED,
  type Row,
  TABLE_VERSION,
  table,
} from '../../machines/table.ts';
import { CONTESTED_ERROR } from '../../machines/verdicts.ts';

/** docs/verdicts.md, from the verdict table that the program decides by. Pure: the same table gives the same page. */

const presenceTexts: Readonly<Record<Presence, readonly [seen: string, meaning: string]>> = {
  absent: [
    'a complete listing of the host that lacks the guest’s UUID',
    'The guest is not here. Only a whole listing says so; one failed look-up does not.',
  ],
  off: ['`shut off` for any reason; `crashed` other than panicked', 'The host knows the guest, and does not run it.'],
  'handed-over': [
    'source only: absent or off, after it once showed `shut off (migrated)` or sent `Stopped Migrated`',
    'The source itself confirmed that the guest left. Once seen, it is remembered.',
  ],
  executing: ['`running`, except in post-copy', 'The guest’s CPUs run here, whatever job the host still reports.'],
  suspended: [
    '`paused` by a user, a save, a dump, a snapshot, a watchdog or a shutdown; `in shutdown`, `pmsuspended`, `idle`; no incoming job',
    'The whole guest is here and stands still on purpose.',
  ],
  broken: [
    '`paused (I/O error)`, `paused (crashed)`, `crashed (panicked)`; no incoming job',
    'The whole guest is here and a fault stopped it.',
  ],
  incoming: [
    'destination only: any `paused` with an incoming job, where its CPUs are not known to have run',
    'An empty shell that waits for the guest’s memory.',
  ],
  switching: [
    'source only: `paused (migrating)`, `paused (unknown)`, `paused (api error)`',
    'The source stopped the guest to hand it over. The destination may already hold the newer state.',
  ],
  postcopy: [
    '`post-copy`, paused or running; a destination that ran and still has an incoming job',
    'The guest’s memory is spread over both hosts.',
  ],
  'postcopy-failed': ['`post-copy failed`, paused or running', 'The guest’s memory is torn between both hosts.'],
  unknown: [
    'no connection, no answer in time, an error, words that are not in this list, another boot of the source, a stray QEMU process',
    'Nothing is known. It is never taken for absence.',
  ],
};

const alarmTexts: Readonly<Record<AlarmCode, string>> = {
  'guest-broken': 'the guest is resident, but a fault stopped it',
  'landed-elsewhere': 'a third host runs the guest',
  'both-hosts-wrote': 'both hosts ran the guest, one after the other',
  'split-brain': 'two hosts run the guest',
  contradiction: 'the answers fit no row',
  'guest-lost': 'the guest was lost in transit',
  'guest-torn': 'the guest’s memory is torn between two hosts',
  'guest-stopped': 'the guest is stopped, and nothing starts it',
};

const sets: readonly (readonly [string, readonly Presence[]])[] = [
  ['gone', GONE],
  ['resident', LANDED],
  ['landed', LANDED],
];

/** `gone`, `resident` and `landed` stand for their sets; on the destination the same set is called landed. */
function presencesText(given: readonly Presence[] | undefined, side: 'source' | 'destination'): string {
  if (given === undefined) return 'any';
  const usable = sets.filter(([name]) => name !== (side === 'source' ? 'landed' : 'resident'));
  const whole = usable.filter(([, members]) => members.every((member) => given.includes(member)));
  const covered = new Set(whole.flatMap(([, members]) => members));
  return [...whole.map(([name]) => name), ...given.filter((presence) => !covered.has(presence))].join(' or ');
}

function conditionsText({ sourceJob, ran, when = [], settlesOnGone }: Row): string {
  const texts = [
    ...(sourceJob === undefined ? [] : [`the source’s job is ${sourceJob}`]),
    ...(ran === undefined ? [] : [`ran = ${ran}`]),
    ...when.map((condition) => conditionTexts[condition]),
    ...(settlesOnGone === true ? ['the destination was asked after the source had answered'] : []),
  ];
  return texts.length === 0 ? '–' : texts.join('; ');
}

function columnText(column: Column, otherwise: string): string {
  switch (column.do) {
    case 'wait':
      return 'wait';
    case 'contested':
      return '**contested**';
    case 'complete': {
      const on = column.on === 'third-host' ? ' on the third host' : '';
      const certainty = column.certainty === 'provisional' ? ', provisional' : '';
      const rest = column.otherwise === 'contested' ? '**contested**' : otherwise;
      return `**complete**${on}${certainty}${column.if === undefined ? '' : ` if ${conditionTexts[column.if]}, else ${rest}`}`;
    }
    case 'rollback':
      return `**rollback**${column.if === undefined ? '' : ` if ${conditionTexts[column.if]}, else ${otherwise}`}`;
  }
}

function alsoTexts(row: Row): string[] {
  const { alarm, alarmAtOnceIf } = row;
  const when =
    alarmAtOnceIf === 'matched'
      ? ', raised at once'
      : alarmAtOnceIf === undefined
        ? ''
        : `, raised at once if ${conditionTexts[alarmAtOnceIf]}`;
  return [
    ...(alarm === undefined ? [] : [`Alarm \`${alarm}\`${when}: ${alarmTexts[alarm]}.`]),
    ...(row.asksEveryone === true
      ? [
          `Every known host is asked as well${row.asksEveryoneIf === undefined ? '' : ` if ${conditionTexts[row.asksEveryoneIf]}`}.`,
        ]
      : []),
    ...(row.leansToDestination === true ? ['While it waits, the record names the destination, provisionally.'] : []),
    ...(row.noLocks === true ? ['No lock command follows.'] : []),
    ...(row.noEffects === true ? ['Contested, it fails the call and sends nothing else.'] : []),
    ...(row.contestedError === undefined
      ? []
      : [`Contested, the error reads “${CONTESTED_ERROR}: ${row.contestedError}”.`]),
    ...(row.offers ?? []).map(
      (offer) =>
        `Offered to an operator${row.offersIf === undefined ? '' : ` if ${conditionTexts[row.offersIf]}`}: ${offer}.`,
    ),
  ];
}

const cell = (text: string) => text.replaceAll('|', '\\|');
const tableRow = (cells: readonly string[]) => `| ${cells.map(cell).join(' | ')} |`;
const markdownTable = (head: readonly string[], rows: readonly (readonly string[])[]) =>
  [tableRow(head), tableRow(head.map(() => '---')), ...rows.map(tableRow)].join('\n');

function rowsTable(): string {
  return markdownTable(
    ['row', 'source', 'destination', 'and', 'now', 'at the deadline'],
    table.map((row) => [
      `[${row.id}](#${row.id})`,
      row.id === 'same-host' ? '–' : presencesText(row.source, 'source'),
      row.id === 'same-host' ? '–' : presencesText(row.destination, 'destination'),
      conditionsText(row),
      columnText(row.now, 'wait'),
      columnText(row.deadline, '**contested**'),
    ]),
  );
}

const rowSection = (row: Row) => [`### ${row.id}`, '', [row.why, ...alsoTexts(row)].join('\n')].join('\n');

export function verdictsPage(): string {
  const { recheckIntervalSeconds, recheckTimeoutSeconds, questionLimitSeconds, commandRetrySeconds } =
    defaultConfiguration;
  const setTexts = sets.map(([name, members]) => `**${name}** is ${members.join(', ')}`).join('; ');
  return `<!-- Generated by \`npm run docs\` from machines/table.ts. Edit that, not this. -->
# Verdicts

A migration call failed, ran out of time, or lost its caller; or it reported success and is being verified. This page says what
Landfall takes for evidence, how a verdict follows from it, and what it does then. It is written from the table the program
decides by (version ${TABLE_VERSION}); every verdict in the ledger names its row here, and \`landfall explain ATTEMPT\` shows its evidence.

## How evidence is read

Each host is asked about the guest by its UUID. Its answer comes down to one word, in the light of its part in the migration:

${markdownTable(
  ['presence', 'what the host shows', 'what it means'],
  Object.entries(presenceTexts).map(([presence, [seen, meaning]]) => [`\`${presence}\``, seen, meaning]),
)}

For short: ${setTexts} (resident is said of the source, landed of other hosts).

**job** is the migration job that the host reports: outgoing, incoming, none or unknown. A destination that refuses job
statistics, because only the source has them, thereby says incoming.

**ran** tells whether the destination’s CPUs ever ran in this attempt. *yes*: it said so, by an event or by an answer.
*no*: its event stream was connected without a gap since the attempt began, on the same boot, and shows a shell that never
resumed and has ended, or the shell still answers. *maybe*: anything else. Only *no* lets a stopped source be resumed.

An answer counts only if its question was asked after the call returned; clocks of hosts are never compared. A question that
nobody answers within ${questionLimitSeconds} s counts as answered \`unknown\`; a late answer replaces that. Events settle nothing: they make both ends be asked
again at once, and add what they prove of the hand-over and of ran. A verdict is made only when nobody who was asked owes an answer.

## The table

The first row that matches decides. *now* applies each time a round of answers is complete. *wait* asks again on every event
and every ${recheckIntervalSeconds} s; ${recheckTimeoutSeconds} s after the call returned, everybody is asked a last time and the right column applies (both are settings).
Two quiet rounds count as proof only ${QUIET_ROUNDS_APART_MS / 1000} s apart: so long may libvirt hold a migration back before it shows a job.

${rowsTable()}

${table.map(rowSection).join('\n\n')}

## What follows

**Complete.** The record moves to the verdict’s host. \`post-migrate\` runs, and \`after-migrate\` once it succeeded. A paused leftover
on the source is destroyed, if it is still paused on the same boot. For each exclusive volume the source’s lock is released, and
once that is acknowledged the new host acquires it.

**Complete, provisional.** The record names the destination, but hooks and locks wait for proof that the source cannot write any
more: it answers that the guest is gone, it is fenced, or the lock manager reports that its leases expired.

**Rollback.** \`failed-to-migrate\` runs first. For the error codes configured in \`askOriginErrorCodes\` the source is asked for the
guest’s state once more. The destination’s locks are released, then the source acquires them; a guest that stalled in the
hand-over is resumed after that and never before. The call fails with its error. A call that was refused before anything had
started touches no lock.

**Contested.** The call fails with an error that begins “${CONTESTED_ERROR}”. Locks, volumes and shells stay as they
are, and the commands that go out say \`contested: true\`. Starting, stopping or migrating the guest is refused. Landfall keeps
asking: evidence that comes later settles it by a new verdict, which names the one it replaces. An operator may settle it with
\`landfall resolve ATTEMPT --host H --reason TEXT --attest\`, having checked that the other side does not run the guest.

A command that is not acknowledged, or is refused, is sent again after ${commandRetrySeconds} s, then after twice as long each time, up to 64 times that.
Each lock command carries a token that rises with every verdict on the guest; an agent refuses one lower than it has seen.
Volumes that are shareable, or whose lease the hypervisor moves itself, get no lock command.

A verdict that stands is doubted when an event does not fit it. Both ends are asked again: the verdict stands, is replaced, or
the attempt opens again with an alarm. Nothing in the ledger is overwritten.
`;
}
