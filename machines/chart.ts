import type { StateValue } from '../events/attempt.ts';
import { migration, type StateRole } from './migration.ts';

/** Reads the machine's own definition, so that no other module repeats its states. */

/** The members of XState's `StateNode` that are read here. */
export type ChartNode = {
  readonly path: readonly string[];
  readonly meta?: { readonly role: StateRole } | undefined;
  readonly after: readonly { readonly delay: unknown; readonly eventType: string }[];
  readonly states: Readonly<Record<string, ChartNode>>;
};

/** Yields the state and then its substates. */
function* withSubstates(node: ChartNode): Generator<ChartNode> {
  yield node;
  for (const child of Object.values(node.states)) yield* withSubstates(child);
}

export const chartNodes: readonly ChartNode[] = [...withSubstates(migration.root)];

const roles = new Map(chartNodes.map(({ path: at, meta }) => [at.join('.'), meta?.role]));

/** Returns a state with its substate, such as `Rechecking.watching`; `ApiFailed` has no substates. */
export function path(value: StateValue): string {
  if (typeof value === 'string') return value;
  // A state with substates is an object of one key. This runs several times for every input, so it makes no array.
  for (const top in value) return `${top}.${value[top]}`;
  return '';
}

/**
 * Returns the role of a state: what an attempt in it waits for. @throws RangeError if the chart has no such state, or
 * gives it no role.
 */
export function roleOf(value: StateValue): StateRole {
  const role = roles.get(path(value));
  if (role === undefined) throw new RangeError(`the chart gives state ${path(value)} no role`);
  return role;
}
