import type { Attempt } from '../events/attempt.ts';
import type { InputData } from '../events/inputs.ts';
import { askedOf, hostsToAsk } from './evidence.ts';
import { isFenced } from './fencing.ts';
import { leaseEvidence } from './leases.ts';
import type { StepContext } from './round.ts';
import { showsGuestOnThirdHost } from './third-hosts.ts';

/** Answers whether an input casts doubt on a verdict, and which hosts it makes Landfall ask. */

/** Adds hosts that may still hold a lock of the VM. */
export function addFormerOwners(attempt: Attempt, leftLocks: readonly string[]): Attempt {
  const more = leftLocks.filter((host) => host !== attempt.source && !attempt.formerOwners.includes(host));
  return more.length === 0 ? attempt : { ...attempt, formerOwners: [...attempt.formerOwners, ...more] };
}

/**
 * Returns whether an event contradicts the verdict: the guest starts on another host, or leaves the host of a rollback.
 */
export function contradicts(attempt: Attempt, data: InputData<'landfall.host.lifecycle.v1'>): boolean {
  const verdict = attempt.verdicts.at(-1);
  if (verdict === undefined) return false;
  if (data.host !== attempt.source && data.host !== attempt.destination) return showsGuestOnThirdHost(attempt, data);
  if (data.host === verdict.host)
    return data.event === 'Stopped' && data.detail === 'Migrated' && verdict.outcome === 'rolled-back';
  // A definition that appears on the destination may be the guest of a cold migration.
  if (data.event === 'Defined') return attempt.origin === 'stopped' && data.host === attempt.destination;
  return data.event === 'Resumed' || (data.event === 'Started' && data.detail === 'Migrated');
}

/** Returns the hosts of the round without a question since the call's return: the round cannot close before they are asked. */
export function neverAsked(attempt: Attempt): string[] {
  return hostsToAsk(attempt).filter((host) => askedOf(attempt, host).asked <= (attempt.returnedSequence ?? 0));
}

/** Events may extend the final round by one question limit at most, so that a stream of events cannot delay its end. */
export function mayStillAsk({ deadlineAt, configuration }: Attempt, { now }: StepContext): boolean {
  return deadlineAt !== null && now < deadlineAt + configuration.questionLimitSeconds * 1000;
}

/** Returns whether a lease contradicts the verdict in force: another host than the verdict's holds one. */
export function contradictsVerdict(attempt: Attempt): boolean {
  const verdict = attempt.verdicts.at(-1);
  if (verdict === undefined || verdict.contested || verdict.certainty !== 'proven') return false;
  const { heldOn = [] } = leaseEvidence(attempt, (host) => isFenced(attempt, host)).leases ?? {};
  return heldOn.some((host) => host !== verdict.host && host !== attempt.movedTo);
}
