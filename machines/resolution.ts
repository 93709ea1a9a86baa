import type { Attempt, AttemptState, Step } from '../events/attempt.ts';
import type { InputData } from '../events/inputs.ts';
import { roleOf } from './chart.ts';
import { isUnderWay } from './effects.ts';
import { ask, askedOf, evidenceOf, readHost } from './evidence.ts';
import { FENCED_WORDS, isFenced } from './fencing.ts';
import type { Reading } from './presence.ts';
import type { Judged, StepContext } from './round.ts';
import { GONE, isOneOf } from './table.ts';
import { toResolution } from './verdicts.ts';

/** Checks an operator's resolution against the hosts' own answers. */

type Resolution = InputData<'landfall.migration.resolved.v1'>;

/** Returns the reading of a host's newest answer, whatever the boot of the host. */
function newestAnswer(attempt: Attempt, host: string): Reading {
  return readHost({ ...attempt, sourceBoot: null }, host, askedOf(attempt, host).answer);
}

/** Returns the answer by which a host lacks the guest; null if the host has the guest or its answer proves nothing (invariant 2). */
export function lackOf(attempt: Attempt, host: string): string | null {
  if (isFenced(attempt, host)) return FENCED_WORDS;
  const { presence, words } = newestAnswer(attempt, host);
  return isOneOf(GONE, presence) ? words : null;
}

/** Returns the hosts whose newest answers show the guest executing. */
export function executingHosts(attempt: Attempt): string[] {
  return Object.keys(attempt.asked).filter((host) => {
    const { presence } = newestAnswer(attempt, host);
    return !isFenced(attempt, host) && (presence === 'executing' || presence === 'postcopy');
  });
}

/** Asks the named host. The resolution is taken or refused when the host answers, or when the question's limit passes. */
export function askNamedHost(attempt: Attempt, { host, reason, attest, operator }: Resolution, now: number): Attempt {
  if (host === undefined) return attempt;
  const asking = ask(attempt, [host], now, 'fresh');
  return { ...asking, resolving: { host, reason, attest, operator, asked: asking.sequence } };
}

/** Returns whether an operator's resolution waits for the answer of its host. */
export function isResolving({ value, attempt }: AttemptState): boolean {
  return attempt.resolving !== undefined && attempt.resolving.lack === undefined && roleOf(value) === 'unproven';
}

/** Removes the waiting resolution, because the attempt has a newer verdict or was reopened. */
export function withoutResolving(attempt: Attempt): Attempt {
  const { resolving: _, ...rest } = attempt;
  return attempt.resolving === undefined ? attempt : rest;
}

/**
 * Concludes the waiting resolution after an input: refuses it if its host answered without the guest, and returns its verdict if
 * the host has the guest or does not answer. Returns null while the question is open.
 */
export function concludeResolution(attempt: Attempt, context: StepContext): Judged | null {
  const { resolving } = attempt;
  if (resolving === undefined) return null;
  const { host, reason, attest, operator, asked } = resolving;
  const { answer } = askedOf(attempt, host);
  const isAnswered = answer !== null && answer.asked >= asked;
  if (!isAnswered && !isFenced(attempt, host)) return null;
  const lack = lackOf(attempt, host);
  if (lack !== null)
    return { next: { ...attempt, resolving: { ...resolving, lack } }, result: null, verdict: null, asks: [] };
  const data = { migration: attempt.migration, host, reason, attest, operator };
  return toResolved(withoutResolving(attempt), data, context);
}

/** Returns the attempt with the operator's verdict. */
export function toResolved(attempt: Attempt, data: Resolution, { now, nextToken }: StepContext): Judged {
  const verdict = toResolution(attempt, data, evidenceOf(attempt), now, nextToken);
  return { next: attempt, result: verdict.outcome === 'completed' ? 'completed' : 'rolled-back', verdict, asks: [] };
}

/** Returns the open step of a command: sent without an acknowledgement, or refused by its host. Undefined if there is none. */
export function openStep({ steps }: Attempt, command: string): Step | undefined {
  return steps.find((step) => step.command === command && isUnderWay(step));
}

/** Ends a stuck step: an operator attests that its effect has taken place. */
export function endStep(attempt: Attempt, command: string, { operator, reason }: Resolution): Attempt {
  const steps = attempt.steps.map(
    (step): Step =>
      step.command === command
        ? { ...step, status: 'done', error: null, ended: `settled by ${operator}: ${reason}` }
        : step,
  );
  return { ...attempt, steps };
}
