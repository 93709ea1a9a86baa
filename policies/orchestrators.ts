import { isActive, isGone, type Outcome, type Policy, seesRunning, type HostAnswer, type View } from './view.ts';

/** Rules of other orchestrators, taken from their source code. */

export const nova: Policy = {
  id: 'nova',
  label: 'OpenStack Nova',
  rule: 'ask the source only: domain active → stays; inactive or gone → completed; no connection → error',
  decide: (world) => {
    const answer = world.ask(world.source, 0);
    if (isActive(answer)) return { host: world.source, action: 'leave', at: answer.at };
    if (isGone(answer)) return { host: world.destination, action: 'complete', at: answer.at };
    return { host: null, action: 'error', at: answer.at };
  },
};

/** Destroys the domain on the destination without asking its host. The ledger's next answer shows the effect. */
function destroyAtOnce(world: View): Outcome {
  const { presence } = world.ask(world.destination, 0);
  return { host: world.source, action: 'destroy on destination', at: 0, hits: presence };
}

export const cloudstack: Policy = {
  id: 'cloudstack',
  label: 'Apache CloudStack',
  rule: 'error → stop the VM on the destination unconditionally, the record stays on the source; success → ask the destination',
  asksOnSuccess: true,
  decide: (world) => {
    if (world.callError !== null) return destroyAtOnce(world);
    const answer = world.ask(world.destination, 0);
    if (seesRunning(answer)) return { host: world.destination, action: 'complete', at: answer.at };
    // CloudStack records a VM that is not found, or whose host does not answer, as stopped.
    return { host: null, action: 'fail', at: answer.at };
  },
};

export const opennebula: Policy = {
  id: 'opennebula',
  label: 'OpenNebula',
  rule: 'error → destroy and undefine on the destination, assume the source',
  decide: destroyAtOnce,
};

export const ganeti: Policy = {
  id: 'ganeti',
  label: 'Ganeti --cleanup (run by hand, at once)',
  rule: 'ask both: both → manual; one → that one; neither, but one elsewhere → that one; a silent host → manual',
  decide: (world) => {
    const source = world.ask(world.source, 0);
    const destination = world.ask(world.destination, 0);
    const at = Math.max(source.at, destination.at);
    const isSilent = [source, destination].some((answer) => answer.presence === 'unknown');
    if (isSilent || (isActive(source) && isActive(destination))) return { host: null, action: 'manual', at };
    if (isActive(destination)) return { host: world.destination, action: 'complete', at };
    if (isActive(source)) return { host: world.source, action: 'roll back', at };
    return elsewhere(world, at);
  },
};

function elsewhere(world: View, at: number): Outcome {
  const found = world.others.filter((host) => isActive(world.ask(host, at)));
  const [host] = found;
  return host !== undefined && found.length === 1
    ? { host, action: 'complete', at }
    : { host: null, action: 'manual', at };
}

const DETECTION_LIMIT_MS = 60_000;
const DETECTION_STEP_MS = 10_000;

const isDetected = (answer: HostAnswer) =>
  seesRunning(answer) || (answer.presence === 'suspended' && answer.words === 'paused (user)');

export const kubevirt: Policy = {
  id: 'kubevirt',
  label: 'KubeVirt',
  rule: 'source still has it → stays; ended there → the target counts once running or paused by the user; undetected for 60 s → the instance is failed',
  decide: (world) => {
    for (let afterMs = 0; afterMs <= DETECTION_LIMIT_MS; afterMs += DETECTION_STEP_MS) {
      const source = world.ask(world.source, afterMs);
      if (isActive(source)) return { host: world.source, action: 'leave', at: source.at };
      const target = world.ask(world.destination, afterMs);
      // KubeVirt takes the end time from the source, so a running target does not count while the source is silent.
      if (isGone(source) && isDetected(target)) {
        return { host: world.destination, action: 'complete', at: Math.max(source.at, target.at) };
      }
    }
    return { host: null, action: 'fail', at: DETECTION_LIMIT_MS };
  },
};
