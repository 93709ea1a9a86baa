import type { Attempt } from '../events/attempt.ts';
import type { Evidence, Verdict } from '../events/verdict.ts';
import type { Power } from '../events/vocabulary.ts';
import { powerOf } from '../machines/fold.ts';

/** Where the guest really was. The ledger itself knows no such thing: it holds what hosts said. */

/** What somebody who looked at the processes says, by migration: a recording's `truth` line, handed in beside the ledger. */
export type KnownEndings = ReadonlyMap<string, { readonly host: string; readonly power: Power }>;

export type Truth = {
  readonly host: string;
  readonly power: Power;
  /**
   * `witnessed`: from outside the ledger. `verdict`: Landfall's own proven verdict, for want of anything better. Against that
   * one Landfall is right by definition, and whoever shows the comparison must say so.
   */
  readonly basis: 'witnessed' | 'verdict';
};

/** Null: nobody witnessed it, and nothing was proven. */
export function truthOf(attempt: Attempt, witnessed: KnownEndings): Truth | null {
  const seen = witnessed.get(attempt.migration);
  if (seen !== undefined) return { host: seen.host, power: seen.power, basis: 'witnessed' };
  // Only the newest verdict: an older proof that was taken back proves nothing.
  const verdict = attempt.verdicts.at(-1);
  if (verdict === undefined || verdict.contested || verdict.certainty !== 'proven') return null;
  return { host: verdict.host, power: powerThere(verdict), basis: 'verdict' };
}

/** The guest's power as the verdict's evidence tells it of the host it names. */
function powerThere({ host, evidence }: Verdict): Power {
  const testimony = testimonies(evidence).find((candidate) => candidate.host === host);
  return testimony === undefined ? 'unknown' : powerOf(testimony);
}

const testimonies = ({ source, destination, others }: Evidence) => [source, destination, ...others];
