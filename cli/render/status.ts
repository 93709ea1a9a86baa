import type { LockStatus } from '../../projections/locks.ts';
import type { VmStatus } from '../../projections/vms.ts';
import type { Style, Tone } from './style.ts';
import { type Cell, cell, table } from './table.ts';
import { clean, listed, plural, shortId, wrap } from './text.ts';
import { wall } from './time.ts';
import { certaintyTexts, certaintyTones, powerTones } from './vocabulary.ts';

/** Formats `landfall status`: host and lock owners of every VM, or all facts about one VM. */

const columns = [
  { header: 'VM' },
  { header: 'NAME', flex: true },
  { header: 'HOST', flex: true },
  { header: 'ZONE/CLUSTER', flex: true },
  { header: 'CERTAINTY' },
  { header: 'POWER' },
  { header: 'LOCK OWNER', flex: true },
  { header: 'OPEN ATTEMPT', flex: true },
] as const;
/** The index of the ZONE/CLUSTER column, which is omitted if no host has a zone or cluster. */
const PLACE = 3;
const NOWHERE = '–';

export function statusTable(vms: readonly VmStatus[], style: Style): string {
  if (vms.length === 0) return 'The ledger has no VMs yet. Declare VMs or add migrations with landfall ingest FILE.';
  const placed = vms.some((vm) => placeOf(vm) !== NOWHERE);
  const shown = (_: unknown, index: number) => placed || index !== PLACE;
  const body = table(
    columns.filter(shown),
    vms.map((vm) => row(vm).filter(shown)),
    style,
  );
  return `${body}\n\n${style.paint('dim', summary(vms))}`;
}

function row(vm: VmStatus): Cell[] {
  return [
    shortId(vm.vm),
    vm.name ?? '–',
    vm.host ?? cell('nowhere', 'warn'),
    cell(placeOf(vm), 'dim'),
    cell(vm.certainty, certaintyTones[vm.certainty]),
    cell(vm.power, powerTones[vm.power]),
    lockCell(vm.locks),
    vm.migration === null ? cell('–', 'dim') : cell(vm.migration, 'accent'),
  ];
}

const placeOf = ({ zone, cluster }: VmStatus) =>
  zone === null && cluster === null ? NOWHERE : `${zone ?? '–'}/${cluster ?? '–'}`;

/** Returns true for a shareable volume, which has no exclusive owner. */
const isShared = ({ desiredOwner, agrees }: LockStatus) => desiredOwner === null && agrees;

/** Returns true for a lock that was observed with another holder than the desired one. */
const disagrees = ({ observed, agrees }: LockStatus) => observed && !agrees;

const isUnobserved = ({ observed, agrees }: LockStatus) => !observed && !agrees;

/** Shows the common owner of all volumes, or the number of volumes that disagree. */
function lockCell(all: readonly LockStatus[]): Cell {
  if (all.length === 0) return cell('no volumes', 'dim');
  const locks = all.filter((lock) => !isShared(lock));
  if (locks.length === 0) return cell('shared', 'dim');
  const owners = new Set(locks.map(({ owner }) => owner ?? 'none'));
  const disagreeing = locks.filter(disagrees).length;
  if (disagreeing === 0 && locks.some(isUnobserved)) return cell('not observed', 'dim');
  const who = owners.size === 1 ? [...owners].join('') : `${owners.size} owners`;
  if (disagreeing === 0) return cell(`${who} ✓`, 'plain');
  return cell(`${who} ✗${locks.length > 1 ? ` ${disagreeing} of ${locks.length}` : ''}`, 'bad');
}

function summary(vms: readonly VmStatus[]): string {
  const [unproven, disagreeing, unobserved, open] = [
    vms.filter(({ certainty }) => certainty !== 'proven').length,
    vms.filter(({ locks }) => locks.some(disagrees)).length,
    vms.filter(({ locks }) => !locks.some(disagrees) && locks.some(isUnobserved)).length,
    vms.filter(({ migration }) => migration !== null).length,
  ];
  const notes = [
    ...(unproven > 0 ? [`${unproven} not proven`] : []),
    ...(disagreeing > 0 ? [`${disagreeing} with a lock that disagrees (✗)`] : []),
    ...(unobserved > 0 ? [`${unobserved} with a lock that no report has shown yet`] : []),
    ...(open > 0 ? [plural(open, 'open attempt')] : []),
  ];
  return `${plural(vms.length, 'VM')}${notes.length === 0 ? ', all proven, all locks agree' : `: ${listed(notes)}`}${asOf(vms[0])}`;
}

function asOf(vm: VmStatus | undefined): string {
  if (vm === undefined) return '';
  const { position, time } = vm.asOf;
  return ` · as of ${time === null ? 'the beginning' : wall(time)}, position ${position}`;
}

/** Formats all recorded facts about one VM. */
export function statusDetail(vm: VmStatus, style: Style): string {
  const place = placeOf(vm) === NOWHERE ? '' : ` (zone/cluster ${placeOf(vm)})`;
  const came = vm.lastHost === null ? '' : ` ← ${vm.lastHost}`;
  const facts: [string, Tone, string][] = [
    ['host', vm.host === null ? 'warn' : 'bold', `${vm.host ?? 'not known'}${came}${place}`],
    ['certainty', certaintyTones[vm.certainty], certaintyTexts[vm.certainty]],
    ['power', powerTones[vm.power], vm.power],
    ['as of', 'plain', asOf(vm).replace(' · as of ', '')],
  ];
  const title = `${style.paint('bold', clean(vm.name ?? 'unnamed VM'))}  ${vm.vm}`;
  const lines = facts.map(
    ([label, tone, text]) =>
      `  ${style.paint('dim', label.padEnd(10))} ${style.paint(tone, wrap(clean(text), style.width, ' '.repeat(13)))}`,
  );
  return [title, ...lines, '', volumeTable(vm, style), ...openHint(vm, style)].join('\n');
}

function volumeTable({ locks }: VmStatus, style: Style): string {
  if (locks.length === 0) return `  ${style.paint('dim', 'no volumes recorded')}`;
  const rows = locks.map((lock): Cell[] => [
    `${lock.volume}${copyText(lock)}`,
    lock.desiredOwner ?? cell(isShared(lock) ? 'any host' : 'not known', 'dim'),
    observedOwner(lock),
    isShared(lock) ? cell('shared, not managed', 'dim') : agreement(lock),
  ]);
  return table(
    [{ header: 'VOLUME', flex: true }, { header: 'EXPECTED OWNER' }, { header: 'OBSERVED OWNER' }, { header: '' }],
    rows,
    style,
    '  ',
  );
}

function agreement(lock: LockStatus): Cell {
  if (lock.agrees) return cell('✓ agrees', 'good');
  return isUnobserved(lock) ? cell('not observed yet', 'dim') : cell('✗ differs', 'bad');
}

function copyText({ copy }: LockStatus): string {
  if (copy === undefined) return '';
  const use = copy.current === null ? 'not known if current' : copy.current ? 'current' : 'not current';
  return ` (copy on ${copy.host}, ${use})`;
}

function observedOwner({ owner, mode }: LockStatus): Cell {
  if (owner !== null) return mode === null ? owner : `${owner} (${mode})`;
  if (mode === null) return cell('none observed', 'dim');
  return cell(mode === 'shared' ? 'several, shared' : 'several hosts', 'warn');
}

function openHint({ migration }: VmStatus, style: Style): string[] {
  if (migration === null) return [];
  return ['', `  Attempt ${style.paint('accent', clean(migration))} is open: landfall explain ${clean(migration)}`];
}
