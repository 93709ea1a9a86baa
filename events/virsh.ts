import type { Domain } from './inputs.ts';
import { type DomainJob, type DomainReason, type DomainState, reasonsOf, stateWords } from './libvirt.ts';

/**
 * Maps the texts of virsh to libvirt's vocabulary. Only recordings and entries of versions 1 and 2 contain such texts; an input
 * uses the vocabulary itself.
 */

/** A domain as virsh printed it. */
export type VirshDomain = {
  readonly name: string;
  readonly state: string;
  readonly reason: string;
  readonly job: string;
};

/** libvirt's numbers of the migration operations, as `virsh domjobinfo --rawstats` prints them. */
const OPERATION_MIGRATION_IN = '4';
const OPERATION_MIGRATION_OUT = '5';

/** Returns the domain, or the texts of state and reason if the vocabulary lacks one of them. */
export function domainOfVirsh(raw: VirshDomain): { domain: Domain } | { unknownWords: string } {
  const state = stateWords.find((word) => word === raw.state);
  const reason = state === undefined ? undefined : reasonOfVirsh(state, raw.reason);
  if (state === undefined || reason === undefined) return { unknownWords: `${raw.state} (${raw.reason})` };
  return { domain: { name: raw.name, state, reason, job: jobOfVirsh(raw.job) } };
}

/** Spellings that earlier versions accepted besides those of virsh 9.0. */
const otherSpellings: Readonly<Record<string, DomainReason>> = {
  save: 'saving',
  dump: 'dumping',
  snapshot: 'creating snapshot',
  'API error': 'api error',
};

function reasonOfVirsh(state: DomainState, text: string): DomainReason | undefined {
  // `virsh domstate` prints a reason only with the option `--reason`. The reason matters only for a paused guest.
  if (text === '' && state !== 'paused') return 'unknown';
  const spelling = Object.hasOwn(otherSpellings, text) ? otherSpellings[text] : text;
  return reasonsOf(state).find((word) => word === spelling);
}

/** Returns the job for the number of an operation, or for an error of `virsh domjobinfo`. */
export function jobOfVirsh(text: string): DomainJob {
  if (text === 'none') return 'none';
  if (text === OPERATION_MIGRATION_OUT) return 'outgoing';
  if (text === OPERATION_MIGRATION_IN) return 'incoming';
  // A destination refuses job statistics with this text exactly while a migration comes in (from Prepare to Finish).
  if (text.includes('migration statistics are available only on the source host')) return 'incoming';
  if (text.includes('domain is not running')) return 'none';
  return /^\d+$/.test(text) ? 'other' : 'unknown';
}
