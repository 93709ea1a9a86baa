import type { Attempt } from '../events/attempt.ts';
import type { InputData } from '../events/inputs.ts';
import type { Evidence } from '../events/verdict.ts';

/** Facts about hosts besides source and destination, and about a guest that runs twice. */

/** Returns the hosts that `elsewhere` and `nowhere` ask: the known hosts, and hosts that showed the guest. */
export function otherHosts({ knownHosts, seenOn = [] }: Attempt): string[] {
  return [...new Set([...knownHosts, ...seenOn])];
}

/** Records that a third host showed the guest: from now on every round asks all known hosts. */
export function seenOnHost(attempt: Attempt, host: string): Attempt {
  const { seenOn = [] } = attempt;
  return { ...attempt, searching: true, seenOn: seenOn.includes(host) ? seenOn : [...seenOn, host] };
}

/** Returns the evidence about a third host that showed the guest and does not answer. */
export function silentThirdHost({ seenOn = [] }: Attempt, others: Evidence['others']): Pick<Evidence, 'thirdSilent'> {
  const silent = others.find(({ host, presence }) => presence === 'unknown' && seenOn.includes(host));
  return silent === undefined ? {} : { thirdSilent: silent.host };
}

/** Returns whether an event shows the guest running on a third host. A shell of a migration to there does not run yet. */
export function showsGuestOnThirdHost(attempt: Attempt, data: InputData<'landfall.host.lifecycle.v1'>): boolean {
  const runs = data.event === 'Resumed' || (data.event === 'Started' && data.detail !== 'Migrated');
  return runs && isUnexpectedOn(attempt, data.host);
}

/** Returns whether the guest is not expected on the host: the host is no end of the attempt, and no verdict names it. */
export function isUnexpectedOn({ source, destination, verdicts, movedTo }: Attempt, host: string): boolean {
  return host !== source && host !== destination && host !== verdicts.at(-1)?.host && host !== movedTo;
}

/** Returns the evidence of earlier verdicts and alarms: a split brain, and a proven arrival. */
export function splitBrainOf({ alarms, verdicts }: Attempt): Pick<Evidence, 'splitBrain' | 'provenOn'> {
  const arrival = verdicts.findLast(({ contested }) => !contested);
  const isProven = arrival?.outcome === 'completed' && arrival.certainty === 'proven';
  return {
    ...(alarms.some(({ code }) => code === 'split-brain') ? { splitBrain: true } : {}),
    ...(isProven ? { provenOn: arrival.host } : {}),
  };
}
