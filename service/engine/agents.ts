import { randomUUID } from 'node:crypto';
import type { HostRecord } from '../../events/records.ts';
import { WALL } from '../../events/vocabulary.ts';
import { type Submission, submissionOf } from './engine.ts';

/**
 * Detects silent agents. A request for work shows that the agent is alive; an open connection does not, because the kernel
 * keeps the connection of a stopped process. So a long poll lasts at most `waitMsMax`, and a living agent sends its next
 * request before the limit. An agent without requests is reported to the ledger as silent, and as speaking after its next
 * request. Only agents of known hosts are reported: a request for work does not register a host.
 */
export class Agents {
  protected readonly limitMs: number;
  readonly #newId: () => string;
  protected readonly now: () => number;
  readonly #lastRequests = new Map<string, number>();
  protected readonly reported = new Map<string, HostRecord['agent']>();
  #since: number;

  /** @param newId makes a unique id for one change of an agent. */
  constructor(limitMs: number, now: () => number, newId: () => string = randomUUID) {
    this.limitMs = limitMs;
    this.#newId = newId;
    this.now = now;
    this.#since = now();
  }

  /** The longest long poll of an agent. The rest of the limit is the agent's time for its next request. */
  get waitMsMax(): number {
    return Math.floor(this.limitMs * WAIT_SHARE);
  }

  /** Records a request for work from this host's agent. */
  asks(host: string): void {
    this.#lastRequests.set(host, this.now());
  }

  isSilent(host: string): boolean {
    return this.now() - (this.#lastRequests.get(host) ?? this.#since) > this.limitMs;
  }

  /** Returns the inputs that report agents that became silent or speak again since the last report. */
  changes(hosts: readonly HostRecord[]): Submission[] {
    const inputs: Submission[] = [];
    for (const { host, agent } of wallClockHosts(hosts)) {
      const now = this.isSilent(host) ? 'silent' : 'speaking';
      // The ledger already records this state, so the next change must be reported.
      if (now === agent) this.reported.delete(host);
      // An agent without a request to this instance is never reported as speaking.
      if (now === agent || now === this.reported.get(host) || (now === 'speaking' && !this.hasAsked(host))) continue;
      this.reported.set(host, now);
      inputs.push(agentIs(host, now, `agent-${now}/${this.#newId()}`));
    }
    return inputs;
  }

  /** Removes silent agents of unknown hosts, so that requests under invented names use no memory. */
  forgetStrangers(hosts: readonly HostRecord[]): void {
    const known = new Set(wallClockHosts(hosts).map(({ host }) => host));
    for (const host of this.#lastRequests.keys())
      if (!known.has(host) && this.isSilent(host)) this.#lastRequests.delete(host);
  }

  /** The number of hosts with a remembered request. */
  get remembered(): number {
    return this.#lastRequests.size;
  }

  /** Reports every state again, because the last reports may not be durable. */
  forgetReports(): void {
    this.reported.clear();
  }

  /** Returns the number of known hosts whose agent is silent now. */
  silent(hosts: readonly HostRecord[]): number {
    return wallClockHosts(hosts).filter(({ host }) => this.isSilent(host)).length;
  }

  protected hasAsked(host: string): boolean {
    return this.#lastRequests.has(host);
  }

  /** The time of the last request in milliseconds; null if none is remembered. */
  protected lastRequestAt(host: string): number | null {
    return this.#lastRequests.get(host) ?? null;
  }

  protected forget(host: string): void {
    this.#lastRequests.delete(host);
    this.reported.delete(host);
  }
}

/** The part of the limit that a long poll may last: 25 of the default 30 seconds. */
const WAIT_SHARE = 5 / 6;

/** Returns the hosts of the live site. Hosts of recorded worlds have no agents. */
export const wallClockHosts = (hosts: readonly HostRecord[]) => hosts.filter(({ clock }) => clock === WALL);

/** @param id identifies one change, so that reports of it by several instances count once; default: a new id. */
export function agentIs(host: string, agent: HostRecord['agent'], id = `agent-${agent}/${randomUUID()}`): Submission {
  return facts(id, { host, agent });
}

export function facts(id: string, data: { host: string; agent?: HostRecord['agent'] }): Submission {
  return submissionOf({ specversion: '1.0', id, source: SERVICE, type: FACTS, data });
}

export const FACTS = 'landfall.host.facts.v1';
/** The event source of the service's own reports. */
export const SERVICE = 'landfall:service';
