import type { Attempt, AttemptState } from '../../events/attempt.ts';
import type { Verdict } from '../../events/verdict.ts';
import { path } from '../../machines/chart.ts';
import { evidenceOf } from '../../machines/evidence.ts';
import type { Row } from '../../machines/table.ts';
import { isStuckStep } from '../../machines/effects.ts';
import { executingHosts, isResolving, lackOf } from '../../machines/resolution.ts';
import { offersText, waitingRowLines } from './explain-verdict.ts';
import { clean, message } from './text.ts';
import { clock, duration, offset, wall } from './time.ts';

/** Formats the migration call, the pending deadlines of an undecided attempt, and the operator's options. */

export function callLines(attempt: Attempt): string[] {
  const { startedAt, returnedAt, callError, flags, origin, clock: on } = attempt;
  const recorded = on === 'wall' ? '' : `, in the recording ${clean(on.replace(/^recorded:/, ''))}`;
  const asked = [
    ...(attempt.storageCopied ? ['disks copied'] : []),
    ...(attempt.leavePaused ? ['to be left paused'] : []),
  ];
  const was = [`guest ${origin === 'unknown' ? 'in an unknown state' : origin} before`, ...asked].join(', ');
  const began = `Started ${wall(startedAt)}${recorded}; ${was}${flags.length === 0 ? '' : `; ${clean(flags.join(' '))}`}.`;
  if (returnedAt === null) return [began, 'The call has not returned.'];
  const after = duration(returnedAt - startedAt);
  if (callError === null) return [began, `Reported success after ${after}; both hosts were asked to confirm it.`];
  const code = callError.code === undefined ? '' : ` [${clean(callError.code)}]`;
  const kind = callKinds[callError.kind];
  const said = message(callError.message);
  const quoted = said === '' || kind.includes(said) ? '.' : ` — “${said}”`;
  return [began, `Failed after ${after}, at ${clock(returnedAt)}: ${kind}${code}${quoted}`];
}

const callKinds = {
  libvirt: 'libvirt itself returned an error',
  connection: 'the connection between caller and libvirtd broke; the job may continue',
  'caller-timeout': 'the caller was killed by its own time limit; the job may continue',
  'caller-lost': 'the caller died without a result; the job may continue',
  'not-started': 'the orchestrator never called libvirt',
} as const;

/** @param now is the time in the attempt's world, in milliseconds since the epoch. */
export function waitLines({ attempt }: AttemptState, row: Row | undefined, now: number): string[] {
  const { waiting, pollAt, deadlineAt, returnedAt, rounds } = attempt;
  const when = (time: number) =>
    `${clock(time)} (${time >= now ? `in ${duration(time - now)}` : `due ${duration(now - time)} ago`})`;
  const by =
    waiting === null
      ? [
          rounds === 0
            ? 'It waits for the first answers to the questions above.'
            : 'It waits for the answers of the present round.',
        ]
      : waitingRowLines(row, waiting.row, evidenceOf(attempt));
  const times = [
    ...(pollAt === null ? [] : [`next round ${when(pollAt)}, or at once after an event of either host`]),
    ...(deadlineAt === null
      ? []
      : [
          `last round ${when(deadlineAt)}${returnedAt === null ? '' : `, ${offset(deadlineAt - returnedAt)} after the call returned`}`,
        ]),
  ];
  return [
    ...by,
    ...thirdHostLines(attempt),
    ...leaseLines(attempt),
    ...(times.length === 0 ? [] : [`${times.join('; ')}.`.replace(/^./, (first) => first.toUpperCase())]),
  ];
}

function thirdHostLines(attempt: Attempt): string[] {
  const { thirdSilent } = evidenceOf(attempt);
  return thirdSilent === undefined
    ? []
    : [`${clean(thirdSilent)} showed the guest and does not answer, so no verdict is made before the deadline.`];
}

function leaseLines({ leaseDoubt }: Attempt): string[] {
  if (leaseDoubt === undefined) return [];
  return [
    leaseDoubt.finding === 'disagrees'
      ? 'The lock manager reports a lease on a host without the guest, so the hosts are asked in two more rounds.'
      : 'The guest runs without a lease, so the hosts are asked once more before the verdict.',
  ];
}

export function operatorLines(state: AttemptState): string[] {
  const { value, attempt } = state;
  const standing = attempt.verdicts.at(-1);
  const at = path(value);
  const open = at === 'RolledBack.contested' || at === 'Completed.provisional';
  if (standing === undefined) return [];
  if (!open) return [...offerLines(standing), ...stuckLines(attempt)];
  const resolve = (guest: string) => `landfall resolve ${clean(attempt.migration)} ${guest} --reason TEXT --attest`;
  // A resolution that contradicts a host's own answer would be refused.
  const hosts = [...new Set([attempt.source, attempt.destination])].filter((host) => lackOf(attempt, host) === null);
  const guests = [
    ...hosts.map((host) => `--host ${clean(host)}`),
    ...(executingHosts(attempt).length === 0 ? ['--stopped'] : []),
  ];
  return [
    ...(standing.contested
      ? [
          'The guest may be on both hosts or still moving. Do not start, restart or migrate this VM until the attempt is settled. Later evidence can settle it automatically.',
        ]
      : []),
    ...offerLines(standing),
    'Run on both hosts:',
    `  virsh domstate --reason ${clean(attempt.vm)}`,
    `  virsh domjobinfo ${clean(attempt.vm)}`,
    'Then settle the attempt for the host of the guest, or for a stopped guest, after you checked the other host:',
    ...guests.map((guest) => `  ${resolve(guest)}`),
    ...resolvingLines(state),
  ];
}

function offerLines({ offers }: Pick<Verdict, 'offers'>): string[] {
  return offers.length === 0 ? [] : [`Possible manual steps: ${offersText(offers)}.`];
}

/** The operator's last resolution, while it waits for its host's answer or after that answer refused it. */
function resolvingLines(state: AttemptState): string[] {
  const { resolving } = state.attempt;
  if (resolving === undefined) return [];
  const named = `${clean(resolving.operator)} named ${clean(resolving.host)}`;
  if (resolving.lack !== undefined)
    return [
      `${named}; refused, because ${clean(resolving.host)} does not have the guest (${message(resolving.lack)}).`,
    ];
  return isResolving(state)
    ? [`${named}; the resolution waits for the answer of ${clean(resolving.host)} to q${resolving.asked}.`]
    : [];
}

/** Offers to settle the steps that no host has carried out in several tries. */
function stuckLines(attempt: Attempt): string[] {
  const stuck = attempt.steps.filter(isStuckStep);
  if (stuck.length === 0) return [];
  return [
    'A step is stuck. Check its lock or hook by hand; when its effect has taken place, settle the step:',
    ...stuck.map(
      ({ command }) => `  landfall resolve ${clean(attempt.migration)} --step ${clean(command)} --reason TEXT --attest`,
    ),
  ];
}
