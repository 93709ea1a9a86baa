import type { Attempt } from '../events/attempt.ts';
import { askedOf, readHost } from './evidence.ts';
import { GONE, isOneOf } from './table.ts';

/** Checks what an operator says about an attempt against the hosts' own answers. */

/** The newest answer of a host about the guest, as a resolution considers it: the words that show the guest, or its lack. */
function newestAnswer(
  attempt: Attempt,
  host: string,
): { presence: ReturnType<typeof readHost>['presence']; words: string } {
  return readHost({ ...attempt, sourceBoot: null }, host, askedOf(attempt, host).answer);
}

/** The answer by which a host lacks the guest; null if the host has it, or its newest answer tells nothing (invariant 2). */
export function lackOf(attempt: Attempt, host: string): string | null {
  const { presence, words } = newestAnswer(attempt, host);
  return isOneOf(GONE, presence) ? words : null;
}

/** The hosts whose newest answers show the guest executing. */
export function executingHosts(attempt: Attempt): string[] {
  return Object.keys(attempt.asked).filter((host) => {
    const { presence } = newestAnswer(attempt, host);
    return presence === 'executing' || presence === 'postcopy';
  });
}
