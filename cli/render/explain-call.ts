import type { Attempt, AttemptState } from '../../events/attempt.ts';
import { path } from '../../machines/chart.ts';
import type { Row } from '../../machines/table.ts';
import { offersText, waitingRowLines } from './explain-verdict.ts';
import { clean, message } from './text.ts';
import { clock, duration, offset, wall } from './time.ts';

/** Formats the migration call, the pending deadlines of an undecided attempt, and the operator's options. */

export function callLines(attempt: Attempt): string[] {
  const { startedAt, returnedAt, callError, flags, origin, clock: on } = attempt;
  const recorded = on === 'wall' ? '' : `, on the clock ${clean(on)}`;
  const asked = [
    ...(attempt.storageCopied ? ['disks are copied'] : []),
    ...(attempt.leavePaused ? ['to be left paused'] : []),
  ];
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

/** @param now is the time in the attempt's world, in milliseconds since the epoch. */
export function waitLines({ attempt }: AttemptState, row: Row | undefined, now: number): string[] {
  const { waiting, pollAt, deadlineAt, returnedAt, rounds } = attempt;
  const when = (time: number) =>
    `${clock(time)} (${time >= now ? `in ${duration(time - now)}` : `due ${duration(now - time)} ago`})`;
  const by =
    waiting === null
      ? [rounds === 0 ? 'For the first answers to the questions above.' : 'For the answers of the round under way.']
      : waitingRowLines(row, waiting.row);
  const times = [
    ...(pollAt === null ? [] : [`next round ${when(pollAt)}, or at once on any event of either host`]),
    ...(deadlineAt === null
      ? []
      : [
          `last round ${when(deadlineAt)}${returnedAt === null ? '' : `, ${offset(deadlineAt - returnedAt)} after the call returned`}`,
        ]),
  ];
  return [...by, ...(times.length === 0 ? [] : [`${times.join('; ')}.`.replace(/^./, (first) => first.toUpperCase())])];
}

export function operatorLines({ value, attempt }: AttemptState): string[] {
  const standing = attempt.verdicts.at(-1);
  const at = path(value);
  const open = at === 'RolledBack.contested' || at === 'Completed.provisional';
  if (standing === undefined || !open) return [];
  const resolve = (host: string) =>
    `landfall resolve ${clean(attempt.migration)} --host ${clean(host)} --reason TEXT --attest`;
  const hosts = [attempt.source, attempt.destination].filter((host, index, all) => all.indexOf(host) === index);
  return [
    ...(standing.contested
      ? ['Until it is settled nothing may start, restart or migrate this VM. Later evidence settles it by itself.']
      : []),
    ...(standing.offers.length === 0 ? [] : [`Offered, never done unasked: ${offersText(standing.offers)}.`]),
    'Look on both hosts:',
    `  virsh domstate --reason ${clean(attempt.vm)}`,
    `  virsh domjobinfo ${clean(attempt.vm)}`,
    'Then, for the host that has the guest, with the other one checked:',
    ...hosts.map((host) => `  ${resolve(host)}`),
  ];
}
