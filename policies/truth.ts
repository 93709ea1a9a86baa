import type { Attempt } from '../events/attempt.ts';
import type { Evidence, Verdict } from '../events/verdict.ts';
import type { Power } from '../events/vocabulary.ts';
import { powerOf } from '../machines/power.ts';

/**
 * Determines the guest's true host. The ledger contains only the statements of hosts, so the truth may come from
 * outside.
 */

/** True endings by migration, for example from the `truth` lines of recordings. */
export type KnownEndings = ReadonlyMap<string, { readonly host: string; readonly power: Power }>;

export type Truth = {
  readonly host: string;
  readonly power: Power;
  /**
   * `witnessed` comes from outside the ledger. `verdict` is Landfall's own proven verdict; Landfall is then right by
   * definition, and a report must say so.
   */
  readonly basis: 'witnessed' | 'verdict';
};

/** Returns null if the ending is unknown and no verdict is proven. */
export function truthOf(attempt: Attempt, witnessed: KnownEndings): Truth | null {
  const seen = witnessed.get(attempt.migration);
  if (seen !== undefined) return { host: seen.host, power: seen.power, basis: 'witnessed' };
  // Only the newest verdict counts, because a replaced verdict proves nothing.
  const verdict = attempt.verdicts.at(-1);
  if (verdict === undefined || verdict.contested || verdict.certainty !== 'proven') return null;
  return { host: verdict.host, power: powerThere(verdict), basis: 'verdict' };
}

/** Returns the guest's power on the verdict's host, from the verdict's evidence. */
function powerThere({ host, evidence }: Verdict): Power {
  const testimony = testimonies(evidence).find((candidate) => candidate.host === host);
  return testimony === undefined ? 'unknown' : powerOf(testimony);
}

const testimonies = ({ source, destination, others }: Evidence) => [source, destination, ...others];
