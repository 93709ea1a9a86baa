import type { Verdict } from '../../../events/verdict.ts';
import { GONE, LANDED } from '../../../machines/table.ts';
import { OPERATOR_ROW } from '../../../machines/verdicts.ts';
import type { Sample } from '../world/agent.ts';
import type { Hypervisor } from '../world/hypervisor.ts';
import type { Transfer } from '../world/transfer.ts';

/**
 * Whether a verdict is true of the world.
 *
 * What counts as truth is what was so when the hosts were sampled for the answers it stands on: a guest is at home where its
 * CPUs last ran by right (or where it arrived to stay paused), on two hosts where nobody can say which. A proven verdict must
 * name a host that was its home at some time between the first of those samples and the verdict; what the world does later
 * does not contradict it. A proven rollback says besides that this migration is over: it can no longer land.
 */
export type Grounds = {
  readonly world: Hypervisor;
  readonly transfer: Transfer | undefined;
  /** The sample behind a question's answer, as it was consumed. */
  readonly sampleOf: (question: string) => Sample | undefined;
  readonly now: number;
  /** The service's clock jumped forward since the call returned. */
  readonly clockStepped: boolean;
};

const isIn = (set: readonly string[], presence: string) => set.includes(presence);

/** When the earliest answer was sampled that the verdict stands on. */
export function since(verdict: Verdict, { sampleOf, now }: Pick<Grounds, 'sampleOf' | 'now'>): number {
  const { source, destination, others } = verdict.evidence;
  const times = [source, destination, ...others].map(({ question }) =>
    question === null ? undefined : sampleOf(question)?.at,
  );
  return Math.min(now, ...times.filter((time) => time !== undefined));
}

/** What is wrong with the verdict, as pairs of rule and words. */
export function untruths(vm: string, verdict: Verdict, grounds: Grounds): [rule: string, text: string][] {
  if (verdict.row === OPERATOR_ROW || verdict.row === 'same-host') return [];
  return [...testimonies(verdict, grounds), ...outgoing(verdict, grounds), ...proof(vm, verdict, grounds)];
}

/** Invariants 2 and 3: each testimony is what the host was sampled to be. */
function testimonies({ evidence, row }: Verdict, { sampleOf }: Grounds): [string, string][] {
  return [evidence.source, evidence.destination, ...evidence.others].flatMap((said): [string, string][] => {
    const sample = said.question === null ? undefined : sampleOf(said.question);
    const what = sample?.what ?? 'failed';
    const words = `row ${row}: ${said.host} counts as ${said.presence}, but was sampled as ${what}`;
    // A source that handed over may by now hold the shell of a migration back.
    const isGone = what === 'none' || (said.presence === 'handed-over' && what === 'shell');
    if (isIn(GONE, said.presence) && !isGone) return [['invariant 2', words]];
    if (isIn(LANDED, said.presence) && what !== 'guest')
      return [[what === 'shell' ? 'invariant 3' : 'invariant 2', words]];
    return [];
  });
}

/** Invariant 4. */
function outgoing(verdict: Verdict, { sampleOf }: Grounds): [string, string][] {
  const { question, host } = verdict.evidence.source;
  const job = question === null ? 'none' : (sampleOf(question)?.job ?? 'none');
  const plain = verdict.outcome === 'rolled-back' && !verdict.contested;
  return plain && job === 'outgoing'
    ? [['invariant 4', `row ${verdict.row}: rolled back while ${host} still had an outgoing job`]]
    : [];
}

function proof(vm: string, verdict: Verdict, grounds: Grounds): [string, string][] {
  if (verdict.certainty !== 'proven' || verdict.contested) return [];
  const homes = grounds.world.homesSince(vm, since(verdict, grounds));
  // A guest that was found on no host is stopped, and where it last ran makes no difference to a shared disk.
  const isStoppedRow = verdict.row === 'nowhere' || verdict.row === 'crashed-after';
  const stopped = isStoppedRow && verdict.evidence.others.every(({ presence }) => presence !== 'unknown');
  const found: [string, string][] = [];
  const words = `row ${verdict.row}: ${verdict.outcome} on ${verdict.host} is called proven, but`;
  if (!homes.has(verdict.host) && !stopped)
    found.push(['truth', `${words} the guest was at home on ${[...homes].join(', ')}`]);
  if (grounds.world.wasSplitSince(vm, since(verdict, grounds)))
    found.push(['truth', `${words} the guest was on ${[...homes].join(' and ')} all the time`]);
  const phase = grounds.transfer?.phase ?? 'over';
  if (isStoppedRow && !grounds.world.wasNowhereSince(vm, since(verdict, grounds))) {
    found.push(['truth', `${words} the guest it calls stopped was on some host all the time`]);
  }
  // A call that waits in the queue for a guest that is no more will find nothing to move.
  const vain = phase === 'queued' && grounds.world.qemu(verdict.evidence.source.host, vm) === undefined;
  // The 35 s are measured by the service's own clock, and nothing that hosts answer could correct it: where that jumped, the
  // claim is as good as the clock. A proof by libvirt's error or by the job's end owes nothing to it.
  const { quietRounds, libvirtError, outgoingSeen } = verdict.evidence;
  const misled = grounds.clockStepped && quietRounds && !libvirtError && !outgoingSeen;
  if (verdict.outcome === 'rolled-back' && phase !== 'over' && !vain && !misled)
    found.push(['truth', `${words} its migration is ${phase}`]);
  return found;
}
