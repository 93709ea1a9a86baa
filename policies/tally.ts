import { type Cost, costs } from './cost.ts';
import type { Decided } from './decided.ts';
import type { Policy } from './view.ts';

/** Counts of one policy's decisions over the attempts whose truth is known. */
export type Tally = {
  readonly id: string;
  readonly right: number;
  readonly wrong: number;
  /** The number of decisions that name no host. */
  readonly undecided: number;
  readonly costs: Readonly<Record<Cost, number>>;
};

export function newTally({ id }: Policy): Tally {
  const none = Object.fromEntries(costs.map((cost) => [cost, 0])) as Record<Cost, number>;
  return { id, right: 0, wrong: 0, undecided: 0, costs: none };
}

export function count(tally: Tally, { decisions }: Decided): Tally {
  const decision = decisions[tally.id];
  if (decision === undefined || decision.cost === null) return tally;
  const { right, cost } = decision;
  return {
    ...tally,
    right: tally.right + (right === true ? 1 : 0),
    wrong: tally.wrong + (right === false ? 1 : 0),
    undecided: tally.undecided + (right === null ? 1 : 0),
    costs: { ...tally.costs, [cost]: tally.costs[cost] + 1 },
  };
}
