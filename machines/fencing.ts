import type { Answer, Attempt } from '../events/attempt.ts';
import type { HostRecord } from '../events/records.ts';
import type { Evidence, Testimony } from '../events/verdict.ts';

/**
 * Fenced hosts of an attempt. A fenced host cannot run a guest, so it counts as gone (invariant 2), until an answer to a newer
 * question or a report of its agent shows that it is back.
 */

export function isFenced(attempt: Attempt | null, host: string): boolean {
  if (attempt === null) return false;
  const { source, fenced, fencedHosts = {} } = attempt;
  // Entries of earlier versions have only the source's flag.
  return Object.hasOwn(fencedHosts, host) || (host === source && fenced);
}

/** Marks a host as fenced, at the present place in the attempt's sequence. */
export function markFenced(attempt: Attempt, host: string): Attempt {
  const sequence = attempt.sequence + 1;
  const fenced = attempt.fenced || host === attempt.source;
  return { ...attempt, sequence, fenced, fencedHosts: { ...attempt.fencedHosts, [host]: sequence } };
}

export function unmarkFenced(attempt: Attempt, host: string): Attempt {
  if (!isFenced(attempt, host)) return attempt;
  const { [host]: _, ...fencedHosts } = attempt.fencedHosts ?? {};
  return { ...attempt, fenced: attempt.fenced && host !== attempt.source, fencedHosts };
}

/** A complete answer to a question from after the fencing shows that the host is back. Older answers may still arrive. */
export function isBackBy(attempt: Attempt, host: string, { ok, asked }: Answer): boolean {
  return ok && isFenced(attempt, host) && asked > (attempt.fencedHosts?.[host] ?? 0);
}

/** Takes over which of the attempt's third hosts are fenced now. */
export function withFencedThirdHosts(attempt: Attempt, isFencedNow: ((host: string) => boolean) | undefined): Attempt {
  if (isFencedNow === undefined) return attempt;
  let next = attempt;
  for (const host of attempt.knownHosts) {
    if (isFencedNow(host) !== isFenced(next, host))
      next = isFencedNow(host) ? markFenced(next, host) : unmarkFenced(next, host);
  }
  return next;
}

/** The fenced ends of a new attempt. */
export function fencedAtStart(
  ends: readonly string[],
  host: (name: string) => HostRecord | undefined,
): Partial<Attempt> {
  const fencedHosts = Object.fromEntries(ends.filter((end) => host(end)?.fenced === true).map((end) => [end, 0]));
  return Object.keys(fencedHosts).length === 0 ? {} : { fencedHosts };
}

export const FENCED_WORDS = 'fenced: it cannot run the guest';

/** The testimony about a fenced host: it counts as gone. */
export function testimonyOfFenced(host: string): Testimony {
  return { host, presence: 'absent', job: 'none', question: null, words: FENCED_WORDS };
}

/**
 * The evidence about a fenced destination. It stays gone, so it counts as asked last if the source was asked after the fencing;
 * and nothing can move there any more.
 */
export function destinationFencing(
  attempt: Attempt,
  sourceAnswer: Answer | null,
): Pick<Evidence, 'destinationFenced'> & { isAskedLast: boolean } {
  if (!isFenced(attempt, attempt.destination)) return { isAskedLast: false };
  const isAskedLast = sourceAnswer !== null && sourceAnswer.asked > (attempt.fencedHosts?.[attempt.destination] ?? 0);
  return isAskedLast ? { isAskedLast, destinationFenced: true } : { isAskedLast };
}
