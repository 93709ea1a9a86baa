import type { CallError } from '../events/inputs.ts';
import { type Outcome, type Policy, seesPaused, seesRunning, type HostAnswer, type View } from './view.ts';

/** ZStack's rule before its change, the change as first written, and the change as described. */

const RECHECK_INTERVAL_MS = 10_000;
const RECHECK_TIMEOUT_MS = 300_000;

/**
 * Returns true if the management node got no result; only an error returned by libvirt through the agent is a result.
 */
function isTransportError(error: CallError): boolean {
  return error.kind !== 'libvirt';
}

const rollBack = (world: View, at: number): Outcome => ({ host: world.source, action: 'roll back', at });
const complete = (world: View, at: number): Outcome => ({ host: world.destination, action: 'complete', at });

export const zstackBefore: Policy = {
  id: 'zstack-before',
  label: 'ZStack before the change',
  rule: 'agent error: look at the source only; transport error: restore the original state without a look; the record stays on the source',
  decide: (world) => {
    // The query of the source only refreshes the power state and never changes the host in the record.
    const looks = world.callError !== null && !isTransportError(world.callError);
    return looks ? { host: world.source, action: 'leave', at: world.ask(world.source, 0).at } : rollBack(world, 0);
  },
};

export const zstackFirst: Policy = {
  id: 'zstack-first',
  label: 'ZStack, the change as first written',
  rule: 'ask the destination once: Running (or Paused if it was Paused) → complete there; anything else, an error included → roll back',
  decide: (world) => {
    if (world.destination === world.source) return rollBack(world, 0);
    const answer = world.ask(world.destination, 0);
    const arrived = seesRunning(answer) || (world.origin === 'paused' && seesPaused(answer));
    return arrived ? complete(world, answer.at) : rollBack(world, answer.at);
  },
};

const isAlive = (answer: HostAnswer) => seesRunning(answer) || seesPaused(answer);

export const zstackDescribed: Policy = {
  id: 'zstack-described',
  label: 'ZStack, the change as described',
  rule: 'destination not alive → roll back; alive there and not on the source → complete; both → again every 10 s up to 300 s, then roll back',
  decide: (world) => {
    for (let afterMs = 0; afterMs <= RECHECK_TIMEOUT_MS; afterMs += RECHECK_INTERVAL_MS) {
      const destination = world.ask(world.destination, afterMs);
      if (!isAlive(destination)) return rollBack(world, destination.at);
      const source = world.ask(world.source, afterMs);
      // In this rule a silent source counts as not alive.
      if (!isAlive(source)) return complete(world, Math.max(source.at, destination.at));
    }
    return rollBack(world, RECHECK_TIMEOUT_MS);
  },
};
