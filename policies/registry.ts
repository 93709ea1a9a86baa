import { cloudstack, ganeti, kubevirt, nova, opennebula } from './orchestrators.ts';
import type { Outcome, Policy, Recorded } from './view.ts';
import { zstackBefore, zstackDescribed, zstackFirst } from './zstack.ts';

/** Landfall's own verdict is read from the ledger. Only `audit` decides it again. */
export const landfall: Policy = {
  id: 'landfall',
  label: 'Landfall (as recorded)',
  rule: 'ask both hosts after the failure, decide by the verdict table; contested → manual',
  asksOnSuccess: true,
  decide: ({ recorded }) => decideAsRecorded(recorded),
};

/** Returns the recorded verdict as an outcome. The outcome of a contested verdict names no host. */
export function decideAsRecorded(recorded: Recorded | null): Outcome {
  if (recorded === null) return { host: null, action: 'wait', at: 0 };
  const { host, outcome, contested, at } = recorded;
  if (contested) return { host: null, action: 'manual', at };
  return { host, action: outcome === 'completed' ? 'complete' : 'roll back', at };
}

export const policies: readonly Policy[] = [
  nova,
  cloudstack,
  zstackBefore,
  zstackFirst,
  zstackDescribed,
  ganeti,
  opennebula,
  kubevirt,
  landfall,
];

export function policyOf(id: string): Policy | undefined {
  return policies.find((policy) => policy.id === id);
}
