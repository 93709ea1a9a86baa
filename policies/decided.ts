import type { Attempt } from '../events/attempt.ts';
import { type Cost, costOf } from './cost.ts';
import { decideAsRecorded, landfall } from './registry.ts';
import { type Closed, recordedIn } from './replay.ts';
import { type Truth, truthOf, type KnownEndings } from './truth.ts';
import type { Outcome, Policy } from './view.ts';

/** Compares the decisions of all policies for one attempt with the guest's true host. */

type Decision = Outcome & {
  /** True if the decision names the true host; null if the policy names no host or the truth is unknown. */
  readonly right: boolean | null;
  /** Null if the truth is unknown. */
  readonly cost: Cost | null;
};
export type Decided = {
  readonly migration: string;
  readonly vm: string;
  readonly truth: Truth | null;
  /** Decisions by policy id. */
  readonly decisions: Readonly<Record<string, Decision>>;
};

export function decideAll({ attempt, world }: Closed, chosen: readonly Policy[], witnessed: KnownEndings): Decided {
  const truth = truthOf(attempt, witnessed);
  const decisions = Object.fromEntries(chosen.map((policy) => [policy.id, weigh(policy.decide(world), truth)]));
  return { migration: attempt.migration, vm: attempt.vm, truth, decisions };
}

/** Applies a later verdict: Landfall's decision changes, and the truth can change. The other decisions stay. */
export function revise(before: Decided, attempt: Attempt, witnessed: KnownEndings): Decided {
  const truth = truthOf(attempt, witnessed);
  const revised = Object.entries(before.decisions).map(([id, decision]): [string, Decision] => {
    const outcome = id === landfall.id ? decideAsRecorded(recordedIn(attempt)) : decision;
    return [id, weigh(outcome, truth)];
  });
  return { ...before, truth, decisions: Object.fromEntries(revised) };
}

function weigh(outcome: Outcome, truth: Truth | null): Decision {
  if (truth === null) return { ...outcome, right: null, cost: null };
  const right = outcome.host === null ? null : outcome.host === truth.host;
  return { ...outcome, right, cost: costOf(outcome, truth) };
}
