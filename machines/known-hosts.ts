import type { Attempt } from '../events/attempt.ts';

/** Replaces the known hosts besides source and destination. */
export function withKnownHosts(attempt: Attempt, known: readonly string[]): Attempt {
  const { source, destination } = attempt;
  const knownHosts = known.filter((host) => host !== source && host !== destination);
  const same =
    knownHosts.length === attempt.knownHosts.length &&
    knownHosts.every((host, nth) => host === attempt.knownHosts[nth]);
  if (same) return attempt;
  // An added host was not part of the recorded empty round.
  const { emptySequence: _, ...rest } = attempt;
  return { ...rest, knownHosts };
}
