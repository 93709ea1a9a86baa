import { randomUUID } from 'node:crypto';
import type { HostRecord } from '../../events/records.ts';
import { WALL } from '../../events/vocabulary.ts';
import { type Submission, submissionOf } from './engine.ts';

/**
 * Which agents are heard: one is, at the moment it asks for work. That it waits for an answer shows nothing: a stopped process
 * keeps its connection open, and the kernel takes what is sent to it. So no wait lasts longer than `waitMsMax`, after which a
 * living agent asks again before the limit. One that does not is reported to the ledger as silent, and as speaking again when it
 * comes back. Only known hosts are: asking for work registers nobody.
 */
export class Agents {
  protected readonly limitMs: number;
  readonly #newId: () => string;
  protected readonly now: () => number;
  readonly #heard = new Map<string, number>();
  protected readonly reported = new Map<string, HostRecord['agent']>();
  #since: number;

  /** @param newId what one occurrence is called, never the same twice. */
  constructor(limitMs: number, now: () => number, newId: () => string = randomUUID) {
    this.limitMs = limitMs;
    this.#newId = newId;
    this.now = now;
    this.#since = now();
  }

  /** How long an agent may be left waiting: the rest of the limit is its time to ask again. */
  get waitMsMax(): number {
    return Math.floor(this.limitMs * WAIT_SHARE);
  }

  /** It asks for work. */
  asks(host: string): void {
    this.#heard.set(host, this.now());
  }

  isSilent(host: string): boolean {
    return this.now() - (this.#heard.get(host) ?? this.#since) > this.limitMs;
  }

  /** What the ledger is to be told: agents that fell silent or speak again since it was told last. */
  changes(hosts: readonly HostRecord[]): Submission[] {
    const inputs: Submission[] = [];
    for (const { host, agent } of wallClockHosts(hosts)) {
      const now = this.isSilent(host) ? 'silent' : 'speaking';
      // What the ledger says already was told: the next change is told anew.
      if (now === agent) this.reported.delete(host);
      // An agent that was never heard here is not reported as speaking, whatever is recorded.
      if (now === agent || now === this.reported.get(host) || (now === 'speaking' && !this.wasHeard(host))) continue;
      this.reported.set(host, now);
      inputs.push(agentIs(host, now, `agent-${now}/${this.#newId()}`));
    }
    return inputs;
  }

  /** Whoever asks under the name of no known host is not remembered for longer than it is heard. */
  forgetStrangers(hosts: readonly HostRecord[]): void {
    const known = new Set(wallClockHosts(hosts).map(({ host }) => host));
    for (const host of this.#heard.keys()) if (!known.has(host) && this.isSilent(host)) this.#heard.delete(host);
  }

  /** Of how many hosts it remembers that they asked. */
  get remembered(): number {
    return this.#heard.size;
  }

  /** What was reported may not have become durable: it is looked at anew. */
  forgetReports(): void {
    this.reported.clear();
  }

  /** Known hosts whose agents are silent, as it stands now. */
  silent(hosts: readonly HostRecord[]): number {
    return wallClockHosts(hosts).filter(({ host }) => this.isSilent(host)).length;
  }

  protected wasHeard(host: string): boolean {
    return this.#heard.has(host);
  }

  /** When it was heard last; null: never, or it was forgotten. */
  protected heardAt(host: string): number | null {
    return this.#heard.get(host) ?? null;
  }

  protected forget(host: string): void {
    this.#heard.delete(host);
    this.reported.delete(host);
  }
}

/** Of the limit; with the usual 30 seconds a poll may wait its usual 25. */
const WAIT_SHARE = 5 / 6;

/** A recorded world's hosts have no agents. */
export const wallClockHosts = (hosts: readonly HostRecord[]) => hosts.filter(({ clock }) => clock === WALL);

/** @param id what one occurrence is called by everybody who tells of it; by default it is told by us alone. */
export function agentIs(host: string, agent: HostRecord['agent'], id = `agent-${agent}/${randomUUID()}`): Submission {
  return facts(id, { host, agent });
}

export function facts(id: string, data: { host: string; agent?: HostRecord['agent'] }): Submission {
  return submissionOf({ specversion: '1.0', id, source: SERVICE, type: FACTS, data });
}

export const FACTS = 'landfall.host.facts.v1';
/** Who says so. */
export const SERVICE = 'landfall:service';
