import { type Options, type Run, simulate } from './simulate.ts';
import { everyFault, type FaultKind } from './world/faults.ts';
import type { KillAt } from './landfall/service.ts';

/** The faults that end the service's process at random. They are switched off, so the process ends only at the chosen commit. */
const OWN: ReadonlySet<FaultKind> = new Set(['service-crash', 'service-restart']);

export type Kills = { readonly runs: readonly Run[]; readonly failures: readonly { at: KillAt; run: Run }[] };

/** Simulates one world repeatedly, and kills the service before or after each commit in turn. */
export async function killAtEveryCommit(options: Options): Promise<Kills> {
  const faults = new Set([...(options.faults ?? everyFault)].filter((kind) => !OWN.has(kind)));
  const calm = { ...options, faults, killAt: { commit: 0, when: 'before' as const } };
  const { commits } = await simulate(calm);
  const runs: Run[] = [];
  const failures: { at: KillAt; run: Run }[] = [];
  for (let commit = 1; commit <= commits; commit += 1) {
    for (const when of ['before', 'after'] as const) {
      const run = await simulate({ ...calm, killAt: { commit, when } });
      runs.push(run);
      if (run.violations.length > 0) failures.push({ at: { commit, when }, run });
    }
  }
  return { runs, failures };
}
