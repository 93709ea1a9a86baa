import { join } from 'node:path';
import { wallTime } from '../../engine/time.ts';
import { connectTo } from '../../kafka/client.ts';
import { initTopics } from '../../kafka/topics.ts';
import { MACHINE_VERSION } from '../../machines/version.ts';
import type { ClusterEngine } from '../../service/engine/cluster.ts';
import type { ClusterObserver } from '../../service/engine/cluster-parts.ts';
import { openClusterEngine } from '../../service/engine/open-cluster.ts';
import { sleep } from '../measure.ts';

/** The parts of a Landfall instance without HTTP. */

export type Site = { readonly brokers: readonly string[]; readonly prefix: string; readonly folder: string };

const PROJECTIONS = [new URL('../../projections/inline-projection.ts', import.meta.url).href];

export async function makeTopics({ brokers, prefix }: Site, partitions: number): Promise<void> {
  const plan = { prefix, partitions, replicationFactor: 1, minInsyncReplicas: 1 };
  await initTopics(connectTo({ brokers, clientId: 'bench' }), plan);
}

export function openInstance(site: Site, name: string, observer: ClusterObserver = {}): Promise<ClusterEngine> {
  const { brokers, prefix, folder } = site;
  return openClusterEngine({
    ledger: {
      brokers,
      clientId: name,
      prefix,
      folder: join(folder, prefix, name),
      projections: PROJECTIONS,
      machineVersion: MACHINE_VERSION,
    },
    sessionTimeoutMs: 10_000,
    time: wallTime,
    log: () => {},
    observer,
  });
}

export async function until(what: () => boolean, everyMs = 5): Promise<void> {
  while (!what()) await sleep(everyMs);
}

/** Returns the sum of the last sequences of all partitions. */
export const entriesIn = ({ position }: ClusterEngine): number =>
  position.split(',').reduce((sum, each) => sum + Number(each.split(':')[1]), 0);
