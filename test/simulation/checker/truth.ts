import type { Verdict } from '../../../events/verdict.ts';
import { FENCED_WORDS } from '../../../machines/fencing.ts';
import { GONE, LANDED } from '../../../machines/table.ts';
import { OPERATOR_ROW } from '../../../machines/verdicts.ts';
import type { Sample } from '../world/agent.ts';
import type { Hypervisor } from '../world/hypervisor.ts';
import type { Transfer } from '../world/transfer.ts';

/**
 * Checks if a verdict is true in the simulated world. A guest's home is the host where its CPUs last ran legitimately, or where
 * it arrived to stay paused; a guest with two indistinguishable copies has two homes. A proven verdict must name a host that was
 * the home at some time between the first sample of its evidence and the verdict; later events in the world do not contradict it.
 * A proven rollback also states that the migration can no longer land.
 */
export type Grounds = {
  readonly world: Hypervisor;
  readonly transfer: Transfer | undefined;
  /** The sample behind the consumed answer to a question. */
  readonly sampleOf: (question: string) => Sample | undefined;
  readonly now: number;
  /** True if the service's clock jumped forward since the call returned. */
  readonly clockStepped: boolean;
};

const isIn = (set: readonly string[], presence: string) => set.includes(presence);

/** Returns the time of the earliest sample in the evidence of a verdict. */
export function since(verdict: Verdict, { sampleOf, now }: Pick<Grounds, 'sampleOf' | 'now'>): number {
  const { source, destination, others } = verdict.evidence;
  const times = [source, destination, ...others].map(({ question }) =>
    question === null ? undefined : sampleOf(question)?.at,
  );
  return Math.min(now, ...times.filter((time) => time !== undefined));
}

/** Returns the errors of a verdict as pairs of rule and message. */
export function untruths(vm: string, verdict: Verdict, grounds: Grounds): [rule: string, text: string][] {
  if (verdict.row === OPERATOR_ROW || verdict.row === 'same-host') return [];
  return [...testimonies(verdict, grounds), ...outgoing(verdict, grounds), ...proof(vm, verdict, grounds)];
}

/** Invariants 2 and 3: the recorded presence of each host equals the sampled state of the host. */
function testimonies({ evidence, row }: Verdict, { sampleOf }: Grounds): [string, string][] {
  return [evidence.source, evidence.destination, ...evidence.others].flatMap((said): [string, string][] => {
    // A fenced host counts as gone without an answer; the rule about proof checks the verdict that follows.
    if (said.question === null && said.words === FENCED_WORDS) return [];
    const sample = said.question === null ? undefined : sampleOf(said.question);
    const what = sample?.what ?? 'failed';
    const words = `row ${row}: ${said.host} counts as ${said.presence}, but was sampled as ${what}`;
    // A source that handed over may contain the shell of a migration back.
    const isGone = what === 'none' || (said.presence === 'handed-over' && what === 'shell');
    if (isIn(GONE, said.presence) && !isGone) return [['invariant 2', words]];
    if (isIn(LANDED, said.presence) && what !== 'guest')
      return [[what === 'shell' ? 'invariant 3' : 'invariant 2', words]];
    return [];
  });
}

/** Invariant 4: no plain rollback happens while the source reports an outgoing job. */
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
  // A guest that is on no host is stopped. With a shared disk it makes no difference on which host the guest ran last.
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
  // A queued call finds no guest to move if the guest has ended.
  const vain = phase === 'queued' && grounds.world.qemu(verdict.evidence.source.host, vm) === undefined;
  // The service measures the 35 s with its own clock, and no answer of a host corrects that clock, so a jump of the clock excuses
  // a wrong verdict. A proof by libvirt's error or by the end of the job does not use the clock.
  const { quietRounds, libvirtError, outgoingSeen } = verdict.evidence;
  const misled = grounds.clockStepped && quietRounds && !libvirtError && !outgoingSeen;
  if (verdict.outcome === 'rolled-back' && phase !== 'over' && !vain && !misled)
    found.push(['truth', `${words} its migration is ${phase}`]);
  return found;
}
