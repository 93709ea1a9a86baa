import { randomUUID } from 'node:crypto';
import type { HostRecord } from '../../events/records.ts';
import { WALL } from '../../events/vocabulary.ts';
import { type Submission, submissionOf } from './engine.ts';

/**
 * Which agents are heard: one is, while it asks for work. One that stops asking for longer than the limit is reported to the
 * ledger as silent, and as speaking again when it comes back. Only known hosts are: asking for work registers nobody.
 */
export class Agents {
  readonly #limitMs: number;
  readonly #newId: () => string;
  protected readonly now: () => number;
  readonly #heard = new Map<string, number>();
  readonly #asking = new Map<string, number>();
  protected readonly reported = new Map<string, HostRecord['agent']>();
  #since: number;

  /** @param newId what one occurrence is called, never the same twice. */
  constructor(limitMs: number, now: () => number, newId: () => string = randomUUID) {
    this.#limitMs = limitMs;
    this.#newId = newId;
    this.now = now;
    this.#since = now();
  }

  /** It asks, and waits for an answer. Returns what says that it waits no longer. */
  asks(host: string): () => void {
    this.#asking.set(host, (this.#asking.get(host) ?? 0) + 1);
    return () => {
      const left = (this.#asking.get(host) ?? 1) - 1;
      if (left === 0) this.#asking.delete(host);
      else this.#asking.set(host, left);
      this.#heard.set(host, this.now());
    };
  }

  isSilent(host: string): boolean {
    return !this.#asking.has(host) && this.now() - (this.#heard.get(host) ?? this.#since) > this.#limitMs;
  }

  /** What the ledger is to be told: agents that fell silent or speak again since it was told last. */
  changes(hosts: readonly HostRecord[]): Submission[] {
    const inputs: Submission[] = [];
    for (const { host, agent } of live(hosts)) {
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

  /** What was reported may not have become durable: it is looked at anew. */
  forgetReports(): void {
    this.reported.clear();
  }

  /** Known hosts whose agents are silent, as it stands now. */
  silent(hosts: readonly HostRecord[]): number {
    return live(hosts).filter(({ host }) => this.isSilent(host)).length;
  }

  protected wasHeard(host: string): boolean {
    return this.#heard.has(host) || this.#asking.has(host);
  }

  /** When it was heard last; null: never, or it was forgotten. */
  protected heardAt(host: string): number | null {
    return this.#asking.has(host) ? this.now() : (this.#heard.get(host) ?? null);
  }

  protected forget(host: string): void {
    this.#heard.delete(host);
    this.reported.delete(host);
  }
}

/** A recorded world's hosts have no agents. */
export const live = (hosts: readonly HostRecord[]) => hosts.filter(({ clock }) => clock === WALL);

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
