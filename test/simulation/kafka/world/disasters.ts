import type { SimulatedCluster } from '../broker/cluster.ts';
import type { KafkaFault } from '../faults.ts';
import type { Instance } from './instance.ts';
import type { KafkaSim } from './kafka-sim.ts';

const TIMES_MAX = 3;

/** Plans the disasters of a world: lost leaders, and instances that are killed, frozen, slow, stopped or on a wrong clock. */
export function planDisasters(sim: KafkaSim, cluster: SimulatedCluster, instances: readonly Instance[]): void {
  const random = sim.random('disasters');
  const plan = (kind: KafkaFault, happen: () => void) => {
    for (let nth = 0; nth < TIMES_MAX; nth += 1) {
      const at = random.integer(0, sim.faultsUntil - 1);
      sim.after(at, () => {
        if (sim.fault(kind)) happen();
      });
    }
  };
  plan('leader-change', () => loseLeader(sim, cluster));
  plan('instance-kill', () => random.pick(instances).kill('a fault'));
  plan('instance-stop', () => random.pick(instances).stop());
  plan('instance-freeze', () => {
    const instance = random.pick(instances);
    const ms = random.integer(100, 30_000);
    sim.trace(() => `${instance.name} is frozen for ${ms} ms`);
    instance.freeze(ms);
  });
  plan('instance-slow', () => {
    const instance = random.pick(instances);
    instance.set({ slowMs: random.integer(5, 400) });
    sim.after(random.integer(1000, 20_000), () => instance.set({ slowMs: 0 }));
  });
  plan('clock-skew', () => {
    const instance = random.pick(instances);
    instance.set({ skewMs: random.integer(-20_000, 2000) });
    sim.after(random.integer(1000, 20_000), () => instance.set({ skewMs: 0 }));
  });
}

function loseLeader(sim: KafkaSim, cluster: SimulatedCluster): void {
  const random = sim.random('disasters');
  const log = random.pick(cluster.logs);
  const leaderAt = sim.now() + random.integer(10, 5000);
  const reportedUntil = leaderAt + random.integer(0, 1000);
  sim.trace(() => `${log.topic}/${log.partition} has no leader`);
  log.elect(leaderAt, Math.max(0, log.stableEnd - random.integer(0, 2)), reportedUntil);
  sim.after(leaderAt - sim.now(), () => log.wake());
  sim.after(reportedUntil - sim.now(), () => log.wake());
}
