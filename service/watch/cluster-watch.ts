import type { Logger } from 'pino';
import type { Time } from '../../engine/time.ts';
import { messageOf } from '../../events/fault.ts';
import { partitionOf } from '../../kafka/partitioner.ts';
import { wallClockHosts } from '../engine/agents.ts';
import type { ClusterEngine } from '../engine/cluster.ts';
import type { SharedAgents } from '../engine/shared-agents.ts';
import { listHosts } from '../reads/lists.ts';

/** What one of several instances says of itself now and then: how long commits take, and how far it is behind. */

export type ClusterWatchOptions = {
  readonly cluster: Pick<ClusterEngine, 'parts' | 'owned' | 'lag' | 'inputLag'>;
  readonly agents: SharedAgents;
  readonly time: Time;
  readonly logger: Pick<Logger, 'info'>;
};

const TELL_EVERY_MS = 60_000;
/** Until what was shared out is claimed, as a rule. */
const TELL_SHARED_MS = 5000;

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
    this.#tellIn(TELL_EVERY_MS);
  }

  committed(ms: number): void {
    this.#commits += 1;
    this.#totalMs += ms;
    this.#longestMs = Math.max(this.#longestMs, ms);
  }

  /** Whoever shares a partition out anew may have lost a member: the hosts it heard are looked after by their partitions' owners. */
  rebalanced(partitions: readonly number[]): void {
    const { parts } = this.#options.cluster;
    const hosts = wallClockHosts(listHosts(parts)).map(({ host }) => host);
    this.agents.takeOver(hosts.filter((host) => partitions.includes(partitionOf(host, parts.length))));
    this.#tellIn(TELL_SHARED_MS);
  }

  stop(): void {
    this.#isOver = true;
    this.#cancel();
  }

  #tellIn(ms: number): void {
    if (this.#isOver) return;
    this.#cancel();
    this.#cancel = this.#options.time.after(ms, () => void this.#tell());
  }

  async #tell(): Promise<void> {
    const { cluster, logger } = this.#options;
    const commits = { count: this.#commits, meanMs: this.#mean(), longestMs: Math.round(this.#longestMs) };
    this.#commits = 0;
    this.#totalMs = 0;
    this.#longestMs = 0;
    // Where the brokers do not say it, it is not known: that is told as well.
    const inputLag = await cluster.inputLag().then(sum, (error: unknown) => messageOf(error));
    if (this.#isOver) return;
    logger.info({ partitions: cluster.owned, commits, inputLag, copyLag: sum(cluster.lag) }, 'how it goes');
    this.#tellIn(TELL_EVERY_MS);
  }

  #mean(): number | null {
    return this.#commits === 0 ? null : Math.round((this.#totalMs / this.#commits) * 10) / 10;
  }
}

const sum = (lag: readonly { readonly records: number }[]) => lag.reduce((total, { records }) => total + records, 0);
