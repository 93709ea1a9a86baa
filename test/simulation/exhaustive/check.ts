import type { Verdict } from '../../../events/verdict.ts';
import type { Situation, Successor } from './explore.ts';
import { S, type Small } from './small-world.ts';

const isOver = ({ phase }: Small) => phase === 'cancelled' || phase === 'stuck' || phase === 'confirmed';

/** Checks one step for violations of the invariants that two hosts and one attempt can break. */
export function check(before: Situation, { name, situation, verdict }: Successor): string[] {
  const { world, commands } = situation;
  const found: string[] = [];
  if (verdict !== null) found.push(...untrue(world, verdict));
  for (const { kind, command } of commands) {
    const isNew = !before.commands.some((one) => one.command === command);
    if (isNew && kind === 'resume-guest' && world.ran)
      found.push('invariant 5: the source is resumed though the destination ran');
    const releases = situation.state.attempt.steps.filter((step) => step.kind === 'release-lock');
    const acknowledged = releases.every((step) => step.status === 'done');
    if (isNew && kind === 'acquire-lock' && !acknowledged)
      found.push('invariant 6: acquired before the release is acknowledged');
  }
  const [was, is] = [before.state.attempt, situation.state.attempt];
  if (was.deadlineAt !== null && is.deadlineAt !== null && is.deadlineAt > was.deadlineAt)
    found.push('invariant 8: the deadline moved');
  if (is.verdicts.length < was.verdicts.length) found.push('invariant 7: a verdict is gone');
  return found.map((text) => `${text} (${name})`);
}

function untrue(world: Small, verdict: Verdict): string[] {
  const { row, outcome, certainty, evidence } = verdict;
  const found: string[] = [];
  const early = [evidence.source, evidence.destination].some(
    ({ question, presence }) => question === null && presence !== 'unknown',
  );
  if (early) found.push(`invariant 1: ${row} stands on an answer that does not count`);
  if (certainty !== 'proven' || verdict.contested) return found;
  if (outcome === 'completed' && !world.ran) found.push(`truth: ${row} completes, but the destination never ran`);
  if (outcome === 'rolled-back' && !isOver(world))
    found.push(`truth: ${row} rolls back, but the migration is ${world.phase}`);
  const isCalledStopped = row === 'crashed-after' || row === 'nowhere';
  if (isCalledStopped && world.destination === 'guest')
    found.push(`truth: ${row} calls stopped what runs on the destination`);
  // With shared storage, a guest that is stopped on both sides may be recorded on either host.
  const stopped = !world.source && world.destination === 'none';
  if (outcome === 'rolled-back' && world.ran && !stopped && verdict.host === S)
    found.push(`truth: ${row} rolls back, but the guest is on the destination`);
  return found;
}
