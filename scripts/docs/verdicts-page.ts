import { defaultConfiguration } from '../../events/configuration.ts';
import { type Presence, Status } from '../../events/vocabulary.ts';
import { QUIET_ROUNDS_APART_MS } from '../../machines/evidence.ts';
import { type ConditionName, conditionTexts } from '../../machines/conditions.ts';
import { type Column, GONE, LANDED, type Row, TABLE_VERSION, table } from '../../machines/table.ts';
import { rowText } from '../../machines/row-text.ts';
import { statusTexts } from '../../machines/status-words.ts';
import { CONTESTED_ERROR } from '../../machines/verdicts.ts';
import { alarmTexts, presenceTexts } from './verdict-texts.ts';

/** Generates docs/verdicts.md from the verdict table in machines/table.ts. Pure: the same table gives the same page. */

const sets: readonly (readonly [string, readonly Presence[]])[] = [
  ['gone', GONE],
  ['resident', LANDED],
  ['landed', LANDED],
];

/** Replaces whole sets of presences by their names. `LANDED` is called resident on the source and landed on the destination. */
function presencesText(given: readonly Presence[] | undefined, side: 'source' | 'destination'): string {
  if (given === undefined) return 'any';
  const usable = sets.filter(([name]) => name !== (side === 'source' ? 'landed' : 'resident'));
  const whole = usable.filter(([, members]) => members.every((member) => given.includes(member)));
  const covered = new Set(whole.flatMap(([, members]) => members));
  return [...whole.map(([name]) => name), ...given.filter((presence) => !covered.has(presence))].join(' or ');
}

const named = (condition: ConditionName) => `\`${condition}\``;

function conditionsText({ sourceJob, ran, when = [], settlesOnGone }: Row): string {
  const texts = [
    ...(sourceJob === undefined ? [] : [`source job ${sourceJob}`]),
    ...(ran === undefined ? [] : [`ran ${ran}`]),
    ...when.map(named),
    ...(settlesOnGone === true ? ['destination asked last'] : []),
  ];
  return texts.length === 0 ? '–' : texts.join(', ');
}

/** @param otherwise the outcome if the column's own condition does not hold. */
function columnText(column: Column, otherwise: string): string {
  switch (column.do) {
    case 'wait':
      return 'wait';
    case 'contested':
      return '**contested**';
    case 'complete':
      return completionText(column, column.otherwise === 'contested' ? '**contested**' : otherwise);
    case 'rollback':
      return `**rolled back**${conditionText(column.if, otherwise)}`;
  }
}

function completionText(column: Extract<Column, { do: 'complete' }>, otherwise: string): string {
  const { on, certainty, provenIf } = column;
  const completed = `**completed**${on === 'third-host' ? ' on the third host' : ''}`;
  if (certainty !== 'provisional') return `${completed}${conditionText(column.if, otherwise)}`;
  const outcome =
    provenIf === undefined ? '**provisional**' : `${completed} if ${named(provenIf)}, else **provisional**`;
  return column.if === undefined ? outcome : `if ${named(column.if)}: ${outcome}; otherwise ${otherwise}`;
}

const conditionText = (condition: ConditionName | undefined, otherwise: string) =>
  condition === undefined ? '' : ` if ${named(condition)}, else ${otherwise}`;

const alsoMatches = (end: string, also: Row['sourceAlso']) =>
  also === undefined ? [] : [`The ${end} may also be ${also.presences.join(', ')} if ${named(also.if)} is satisfied.`];

function alsoTexts(row: Row): string[] {
  const { alarm, alarmAtOnceIf } = row;
  const when =
    alarmAtOnceIf === 'matched'
      ? ', raised as soon as the row matches'
      : alarmAtOnceIf === undefined
        ? ''
        : `, raised as soon as the row matches and ${named(alarmAtOnceIf)} holds`;
  return [
    ...(alarm === undefined ? [] : [`Alarm \`${alarm}\`${when}: ${alarmTexts[alarm]}.`]),
    ...(row.asksEveryone === true
      ? [
          `Landfall also asks every other known host${row.asksEveryoneIf === undefined ? '' : ` if ${named(row.asksEveryoneIf)}`}.`,
        ]
      : []),
    ...alsoMatches('source', row.sourceAlso),
    ...alsoMatches('destination', row.destinationAlso),
    ...(row.leansToDestination === true
      ? ['While the attempt waits, the record names the destination with certainty `provisional`.']
      : []),
    ...(row.noLocks === true ? ['No lock command follows.'] : []),
    ...(row.noEffects === true
      ? ['If the verdict is contested, Landfall sends `fail-call` and no other command.']
      : []),
    ...(row.contestedError === undefined
      ? []
      : [
          `If the verdict is contested, the call’s error is “${CONTESTED_ERROR}: ${rowText(row.contestedError, null)}”.`,
        ]),
    ...(row.offers ?? []).map(
      (offer) =>
        `An operator may choose to do this${row.offersIf === undefined ? '' : ` if ${named(row.offersIf)}`}: ${offer}.`,
    ),
  ];
}

const cell = (text: string) => text.replaceAll('|', '\\|');
const tableRow = (cells: readonly string[]) => `| ${cells.map(cell).join(' | ')} |`;
const markdownTable = (head: readonly string[], rows: readonly (readonly string[])[]) =>
  [tableRow(head), tableRow(head.map(() => '---')), ...rows.map(tableRow)].join('\n');

/** The fields of JSON that stand for each status. */
const statusJson: Readonly<Record<Status, string>> = {
  migrating: '`state: Migrating`',
  undecided: '`state: ApiFailed` before the first round of answers is complete, then `state: Rechecking`',
  completed: '`state: Completed`, `outcome: completed`, `certainty: proven`',
  provisional: '`state: Completed`, `outcome: completed`, `certainty: provisional`',
  'rolled back': '`state: RolledBack`, `outcome: rolled-back`, `contested: false`',
  contested: '`state: RolledBack`, `outcome: rolled-back`, `contested: true`',
};

function rowsTable(): string {
  return markdownTable(
    ['row', 'source', 'destination', 'further conditions', 'now', 'at the deadline'],
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

/** Returns every condition that a row names, in the order of the table. */
function conditionsTable(): string {
  const used = new Set(JSON.stringify(table).match(/(?<=")[a-z-]+(?=")/g));
  const names = (Object.keys(conditionTexts) as ConditionName[]).filter((name) => used.has(name));
  return markdownTable(
    ['condition', 'meaning'],
    names.map((name) => [named(name), conditionTexts[name]]),
  );
}

function rowSection(row: Row): string {
  const also = alsoTexts(row).map((text) => `- ${text}`);
  return [`### ${row.id}`, rowText(row.why, null), ...(also.length === 0 ? [] : [also.join('\n')])].join('\n\n');
}

export function verdictsPage(): string {
  const { recheckIntervalSeconds, recheckTimeoutSeconds, questionLimitSeconds, commandRetrySeconds } =
    defaultConfiguration;
  const setTexts = sets.map(([name, members]) => `**${name}** is ${members.join(', ')}`).join('; ');
  return `<!-- Generated by \`npm run docs\` from machines/table.ts and scripts/docs/verdicts-page.ts. Edit those files, not this page. -->
# Verdicts

A migration call failed, timed out or lost its caller; or it reported success and Landfall verifies it. This page explains the
states of an attempt, how Landfall reads evidence, which row of the table decides, and which commands follow. The page is generated
from the table that the program uses (version ${TABLE_VERSION}). Every verdict in the ledger names its row;
\`landfall explain ATTEMPT\` shows its evidence.

## States and outcomes

An **attempt** is one migration call of one VM. It has one of six statuses. Every page, message and command uses these words:

${markdownTable(
  ['status', 'in JSON', 'meaning'],
  Status.options.map((status) => [`**${status}**`, statusJson[status], statusTexts[status]]),
)}

JSON has the word as \`status\`. \`state\` is the state of the machine, and metrics count by it. A contested attempt is in state \`RolledBack\` because
its call fails like that of an attempt that is rolled back; \`contested: true\` and \`status: contested\` tell them apart. In \`Rechecking\` Landfall asks
every ${recheckIntervalSeconds} s, until a row decides or the deadline passes.

An attempt is **superseded** when a newer migration of the same VM begins: the newer attempt then decides where the guest is.
An attempt is **settled** when Landfall has nothing left to do for it: its verdict is completed or rolled back and every command that
follows is acknowledged, or it is superseded.

**Certainty** says how much the recorded host is worth. *proven*: the evidence allows no other host. *provisional*: another host is
possible but unlikely. *unknown*: nothing is proven; the record keeps the last known host.

## How Landfall reads evidence

Landfall asks each host about the guest by its UUID. Each answer becomes one **presence**. The meaning depends on whether the host is
the source or the destination:

${markdownTable(
  ['presence', 'the host reports', 'meaning'],
  Object.entries(presenceTexts).map(([presence, [seen, meaning]]) => [`\`${presence}\``, seen, meaning]),
)}

The table uses short names for sets of presences: ${setTexts}. \`resident\` is used for the source, \`landed\` for all other hosts.

**job** is the migration job that the host reports: \`outgoing\`, \`incoming\`, \`none\` or \`unknown\`. Only the source has job statistics, so a
destination that refuses them counts as \`incoming\`.

**ran** says if the destination’s CPUs ever ran in this attempt.
- *yes*: an event or an answer of the destination said so.
- *no*: the destination’s event stream had no gap since the attempt began, its boot did not change, and its shell never resumed
  and has ended, still answers, or stands still as a suspended guest.
- *maybe*: everything else.

A stopped source is resumed only if ran is *no*.

**Which answers count.** An answer counts only if its question was asked after the call returned. Landfall never compares the clocks of
two hosts. A question without an answer within ${questionLimitSeconds} s counts as answered \`unknown\`; a late answer replaces that.
An event decides nothing by itself: it makes Landfall ask both hosts again at once, and it can prove a hand-over or that the
destination ran.

A verdict is made only when every host that was asked has answered or its question has timed out. There are three exceptions:
- A call from a host to itself moved nothing (row [same-host](#same-host)), so its verdict is made when the call returns.
- A provisional verdict is proven at once, without another round, when the source is fenced or all of its leases on the exclusive volumes
  have expired.
- An operator’s resolution of a contested or provisional attempt is a verdict with the row name \`operator\`, which is not in the table.
  It waits for no answer.

## The table

The first row that matches decides. The column *now* applies each time a round of answers is complete. *wait* means that Landfall asks
again on every event and every ${recheckIntervalSeconds} s. The deadline is ${recheckTimeoutSeconds} s after the call returned: Landfall then asks all hosts of the attempt a last time.
When that round is complete, the column *now* is tried first, and the column *at the deadline* applies only if *now* says wait. Both times
are settings. Two quiet rounds count as proof only if they are at least ${QUIET_ROUNDS_APART_MS / 1000} s
apart, because libvirt may queue a migration for up to 30 s before it shows a job.

${rowsTable()}

The conditions in the table mean:

${conditionsTable()}

*source job none* and *ran no* are explained above. *destination asked last* means that the destination was asked after the source had
answered; if it was not, Landfall asks the destination once more before the row decides.

## The rows

${table.map(rowSection).join('\n\n')}

## Commands that follow a verdict

**Completed.** The record names the verdict’s host. The hook \`post-migrate\` runs, and \`after-migrate\` after it succeeded. If the source
still has a paused copy from this attempt, Landfall destroys that copy, but only if it is still paused on the same boot. For each
exclusive volume the source releases the lock; when that release is acknowledged, the new host acquires the lock.

**Provisional.** The record names the destination. Hooks and locks wait until one of these is known: the source answers that the guest
is gone, the source is fenced, or the lock manager reports that the source’s leases expired. Landfall asks the hosts again as often as
for a contested attempt.

**Rolled back.** The hook \`failed-to-migrate\` runs first. For the error codes in the setting \`askOriginErrorCodes\`, Landfall asks the
source once more for the guest’s state. The destination releases its locks, then the source acquires them. A guest that stopped for the
hand-over is resumed after that, and never before. The call fails with its error. If libvirt refused the call before anything started,
or was never called, no lock is touched.

**Contested.** The call fails with an error that begins “${CONTESTED_ERROR}”. Locks, volumes and shells stay as they
are, and every command carries \`contested: true\`. Landfall refuses to start, stop or migrate the guest. It keeps asking the hosts:
on every event, and otherwise every ${Math.max(recheckIntervalSeconds, recheckTimeoutSeconds)} s (the longer of the recheck interval and the recheck timeout). Later evidence settles
the attempt by a new verdict, which names the verdict it replaces. An operator may settle it with
\`landfall resolve ATTEMPT --host H --reason TEXT --attest\`, after checking that the other host does not run the guest.

**Retries.** A command that is refused or not acknowledged is sent again after ${commandRetrySeconds} s. The pause then doubles with each try, up to 64 times
that value. Each lock command carries a fencing token that rises with every verdict on the VM; an agent refuses a lower token than it
has seen. Volumes that are shareable, or whose lease the hypervisor moves itself, get no lock command.

**Doubt.** An event may contradict a settled verdict. Landfall then asks both hosts again. The verdict stands, or a new verdict replaces
it, or the attempt opens again with an alarm. Nothing in the ledger is overwritten.
`;
}
