import type { Network } from './network.ts';

/** The brokers' time passes faster than the wall clock by this factor, so that tests wait less for heartbeats. */
const FASTER = 20;

/** A network without faults, for tests of the simulated brokers. */
export function wallNetwork(): Network {
  return {
    now: () => performance.now() * FASTER,
    after: (ms, run) => void setTimeout(run, ms / FASTER),
    between: (min) => min,
    fault: () => false,
  };
}
