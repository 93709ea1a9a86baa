/**
 * Older versions of an input's type are lifted to the newest one step at a time, before validation, so that everything
 * behind the door knows one version only. A step is keyed by the type it accepts.
 */
type Upcaster = { readonly type: string; readonly lift: (data: unknown) => unknown };
export type Upcasters = Readonly<Record<string, Upcaster>>;

/** None yet: every type is in its first version. */
export const inputUpcasters: Upcasters = {};

/** Follows the steps from `type` to its newest version. A cycle is impossible: each step must raise the version. */
export function upcast(
  type: string,
  data: unknown,
  steps: Upcasters = inputUpcasters,
): { type: string; data: unknown } {
  let current = { type, data };
  for (let step = stepFor(steps, current.type); step !== undefined; step = stepFor(steps, current.type)) {
    if (versionOf(step.type) <= versionOf(current.type))
      throw new RangeError(`upcaster of ${current.type} does not raise its version`);
    current = { type: step.type, data: step.lift(current.data) };
  }
  return current;
}

function stepFor(steps: Upcasters, type: string): Upcaster | undefined {
  return Object.hasOwn(steps, type) ? steps[type] : undefined;
}

function versionOf(type: string): number {
  return Number(/\.v(\d+)$/.exec(type)?.[1] ?? 0);
}
