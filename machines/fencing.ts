import type { Answer, Attempt, Step } from '../events/attempt.ts';
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

/** Ends the steps on a fenced host: it holds no lock and no copy any more, and it can do nothing. */
export function endStepsOnFencedHosts(attempt: Attempt): Attempt {
  const steps = attempt.steps.map((step): Step => {
    const isOpen = step.status === 'waiting' || step.status === 'sent' || step.status === 'refused';
    if (!isOpen || step.host === null || !isFenced(attempt, step.host)) return step;
    const isEnded = step.kind === 'release-lock' || step.kind === 'destroy-leftover';
    if (isEnded) return { ...step, status: 'done', error: null, ended: 'the host is fenced' };
    const isCommand = step.kind === 'acquire-lock' || step.kind === 'resume-guest';
    return isCommand ? { ...step, status: 'dropped', error: 'the host is fenced' } : step;
  });
  return { ...attempt, steps };
}

/** Ends the releases of a lease that the lock manager itself reports as expired. */
export function endReleaseOfExpired(attempt: Attempt, host: string, volume: string): Attempt {
  const isIt = (step: Step) => step.kind === 'release-lock' && step.host === host && step.volume === volume;
  const isOpen = ({ status }: Step) => status === 'waiting' || status === 'sent' || status === 'refused';
  if (!attempt.steps.some((step) => isIt(step) && isOpen(step))) return attempt;
  const steps = attempt.steps.map(
    (step): Step =>
      isIt(step) && isOpen(step) ? { ...step, status: 'done', error: null, ended: 'the lease has expired' } : step,
  );
  return { ...attempt, steps };
}
