import type { Logger } from 'pino';
import type { Time } from '../../engine/time.ts';
import { messageOf } from '../../events/fault.ts';
import { partitionOf } from '../../kafka/partitioner.ts';
import { wallClockHosts } from '../engine/agents.ts';
import type { ClusterEngine } from '../engine/cluster.ts';
import type { SharedAgents } from '../engine/shared-agents.ts';
import { listHosts } from '../reads/lists.ts';

/** Logs the commit times and the lag of one instance at regular intervals. */

export type ClusterWatchOptions = {
  readonly cluster: Pick<ClusterEngine, 'parts' | 'owned' | 'lag' | 'inputLag'>;
  readonly agents: SharedAgents;
  readonly time: Time;
  readonly logger: Pick<Logger, 'info'>;
};

const LOG_EVERY_MS = 60_000;
/** The delay after a rebalance in which new partitions are usually claimed. */
const LOG_AFTER_REBALANCE_MS = 5000;

export class ClusterWatch {
  readonly agents: SharedAgents;
  readonly #options: ClusterWatchOptions;
  #commits = 0;
  #totalMs = 0;
  #longestMs = 0;
  #cancel = () => {};
  #isOver = false;

  constructor(options: ClusterWatchOptions) {
    this.#options = options;
    this.agents = options.agents;
    this.#logIn(LOG_EVERY_MS);
  }

  committed(ms: number): void {
    this.#commits += 1;
    this.#totalMs += ms;
    this.#longestMs = Math.max(this.#longestMs, ms);
  }

  /** After a rebalance an instance may be gone. Its hosts are watched by the owners of the hosts' partitions. */
  rebalanced(partitions: readonly number[]): void {
    const { parts } = this.#options.cluster;
    const hosts = wallClockHosts(listHosts(parts)).map(({ host }) => host);
    this.agents.takeOver(hosts.filter((host) => partitions.includes(partitionOf(host, parts.length))));
    this.#logIn(LOG_AFTER_REBALANCE_MS);
  }

  stop(): void {
    this.#isOver = true;
    this.#cancel();
  }

  #logIn(ms: number): void {
    if (this.#isOver) return;
    this.#cancel();
    this.#cancel = this.#options.time.after(ms, () => void this.#logStatus());
  }

  async #logStatus(): Promise<void> {
    const { cluster, logger } = this.#options;
    const commits = { count: this.#commits, meanMs: this.#mean(), longestMs: Math.round(this.#longestMs) };
    this.#commits = 0;
    this.#totalMs = 0;
    this.#longestMs = 0;
    // The log shows the error of the brokers when the lag is unknown.
    const inputLag = await cluster.inputLag().then(sum, (error: unknown) => messageOf(error));
    if (this.#isOver) return;
    logger.info({ partitions: cluster.owned, commits, inputLag, copyLag: sum(cluster.lag) }, 'instance status');
    this.#logIn(LOG_EVERY_MS);
  }

  #mean(): number | null {
    return this.#commits === 0 ? null : Math.round((this.#totalMs / this.#commits) * 10) / 10;
  }
}

const sum = (lag: readonly { readonly records: number }[]) => lag.reduce((total, { records }) => total + records, 0);
