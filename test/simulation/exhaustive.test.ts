import { describe, expect, it } from 'vitest';
import type { Verdict } from '../../events/verdict.ts';
import { explore, type Situation, type Successor } from './exhaustive/explore.ts';
import { S, type Small } from './exhaustive/small-world.ts';

/** Up to two faults every situation is visited; three are bounded by the number of situations, breadth first. */
const STATES_MAX = 120_000;

const isOver = ({ phase }: Small) => phase === 'cancelled' || phase === 'stuck' || phase === 'confirmed';

/** What must not be, of a step: the invariants as far as two hosts and one attempt can break them. */
function check(before: Situation, { name, situation, verdict }: Successor): string[] {
  const { world, commands } = situation;
  const found: string[] = [];
  if (verdict !== null) found.push(...untrue(world, verdict));
  for (const { kind, command } of commands) {
    const isNew = !before.commands.some((one) => one.command === command);
    if (isNew && kind === 'resume-guest' && world.ran) found.push('invariant 5: the source is resumed though the destination ran');
    const release = command.replace('/acquire-lock/', '/release-lock/');
    const acknowledged = situation.state.attempt.steps.find((step) => step.command === release)?.status === 'done';
    if (isNew && kind === 'acquire-lock' && !acknowledged) found.push('invariant 6: acquired before the release is acknowledged');
  }
  const [was, is] = [before.state.attempt, situation.state.attempt];
  if (was.deadlineAt !== null && is.deadlineAt !== null && is.deadlineAt > was.deadlineAt) found.push('invariant 8: the deadline moved');
  if (is.verdicts.length < was.verdicts.length) found.push('invariant 7: a verdict is gone');
  return found.map((text) => `${text} (${name})`);
}

function untrue(world: Small, verdict: Verdict): string[] {
  const { row, outcome, certainty, evidence } = verdict;
  const found: string[] = [];
  const early = [evidence.source, evidence.destination].some(({ question, presence }) => question === null && presence !== 'unknown');
  if (early) found.push(`invariant 1: ${row} stands on an answer that does not count`);
  if (certainty !== 'proven' || verdict.contested) return found;
  if (outcome === 'completed' && !world.ran) found.push(`truth: ${row} completes, but the destination never ran`);
  if (outcome === 'rolled-back' && !isOver(world)) found.push(`truth: ${row} rolls back, but the migration is ${world.phase}`);
  // Without storage to differ, a guest that is stopped on both sides may be recorded on either.
  const stopped = !world.source && world.destination === 'none';
  if (outcome === 'rolled-back' && world.ran && !stopped && verdict.host === S) found.push(`truth: ${row} rolls back, but the guest is on the destination`);
  return found;
}

describe('every interleaving of one migration on two hosts', () => {
  it.each([0, 1, 2, 3])('with up to %i faults keeps the invariants', { timeout: 180_000 }, (faults) => {
    const { violations, verdicts, ...size } = explore(faults, STATES_MAX, check);
    console.log(`exhaustive, ${faults} faults: ${JSON.stringify({ ...size, verdicts: Object.fromEntries(verdicts) })}`);
    expect(violations).toEqual([]);
    expect(size.complete || size.states >= STATES_MAX).toBe(true);
  });
});
