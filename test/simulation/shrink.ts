import { type Options, simulate } from './simulate.ts';
import { type FaultKind, faultKinds } from './world/faults.ts';

type Small = Required<Pick<Options, 'seed' | 'faults' | 'vmsMax'>>;

/** Removes faults one by one and reduces the number of VMs, as long as the same rule is violated. */
export async function shrink(options: Small, rule: string): Promise<Small> {
  let small = options;
  const stillFails = async (candidate: Small) => {
    const { violations } = await simulate({ ...candidate, replays: rule === 'batches' });
    return violations[0]?.rule === rule;
  };
  for (let vmsMax = 1; vmsMax < small.vmsMax; vmsMax += 1) {
    if (await stillFails({ ...small, vmsMax })) small = { ...small, vmsMax };
  }
  for (const kind of faultKinds) {
    const faults: ReadonlySet<FaultKind> = new Set([...small.faults].filter((other) => other !== kind));
    if (small.faults.has(kind) && (await stillFails({ ...small, faults }))) small = { ...small, faults };
  }
  return small;
}
