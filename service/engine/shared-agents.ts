import { randomUUID } from 'node:crypto';
import type { Entry } from '../../events/entries.ts';
import type { HostRecord } from '../../events/records.ts';
import { agentIs, Agents, FACTS, facts, wallClockHosts, SERVICE } from './agents.ts';
import type { Submission } from './engine.ts';

/**
 * Agents that may ask any of several instances. One that is silent here may speak elsewhere: so the others are asked first,
 * through the ledger, by facts of the host that say nothing new. Who hears it says so, and watches it from then on; only where
 * nobody does, it is reported as silent. Unknown is not silent: the wait begins when the question can be read.
 */

type Question = { readonly id: string; seenAt: number | null };

/** How long the others may take to answer. */
const ANSWER_MS = 10_000;
/** Hosts that are taken over and were not heard for the limit are asked about within this one, or this for each: all at once would be a burst. */
const TAKE_OVER_MS = 5000;
const TAKE_OVER_MS_EACH = 10;
const QUESTION = 'agent-missed/';

export class SharedAgents extends Agents {
  readonly #questions = new Map<string, Question>();
  /** Questions of others that we can answer, by their ids. */
  readonly #answers = new Map<string, string>();
  /** Hosts that nobody may be watching any longer, and when to ask about them. */
  readonly #takenOver = new Map<string, { readonly since: number; readonly dueAt: number }>();

  override changes(hosts: readonly HostRecord[]): Submission[] {
    const inputs = [...this.#answers].map(([id, host]) => agentIs(host, 'speaking', `agent-heard/${id}`));
    this.#answers.clear();
    for (const { host, agent } of wallClockHosts(hosts)) {
      if (this.#hears(host)) inputs.push(...this.#speaks(host, agent));
      else if (agent === 'speaking' && this.#isMissed(host)) inputs.push(...this.#miss(host));
    }
    return inputs;
  }

  override forgetReports(): void {
    super.forgetReports();
    for (const [host, { seenAt }] of this.#questions) if (seenAt === null) this.#questions.delete(host);
  }

  /** By what is recorded: who watches an agent is another instance, as a rule. */
  override silent(hosts: readonly HostRecord[]): number {
    return wallClockHosts(hosts).filter(({ host, agent }) => agent === 'silent' && !this.#hears(host)).length;
  }

  /** Whoever heard these agents may be gone. What is not heard here within the limit is asked about. */
  takeOver(hosts: readonly string[], chance: () => number = Math.random): void {
    const since = this.now();
    const withinMs = Math.max(TAKE_OVER_MS, hosts.length * TAKE_OVER_MS_EACH);
    for (const host of hosts) {
      const dueAt = since + this.limitMs + chance() * withinMs;
      if (!this.#takenOver.has(host)) this.#takenOver.set(host, { since, dueAt });
    }
  }

  /** Entries can be read: questions and answers of others among them, and our own. */
  read(entries: readonly Entry[]): void {
    for (const { cause, time } of entries) {
      if (cause.kind !== 'input' || cause.type !== FACTS || cause.source !== SERVICE) continue;
      const { host, agent } = cause.data as { host: string; agent?: HostRecord['agent'] };
      if (agent === undefined) this.#asked(host, cause.id.slice(QUESTION.length), time);
      else if (!this.#hears(host) && time > this.#since(host)) this.#standDown(host);
    }
  }

  #hears(host: string): boolean {
    return this.wasHeard(host) && !this.isSilent(host);
  }

  #isMissed(host: string): boolean {
    return this.wasHeard(host) || this.now() >= (this.#takenOver.get(host)?.dueAt ?? Number.POSITIVE_INFINITY);
  }

  /** Since when it is ours to watch: what was told before that is old. */
  #since(host: string): number {
    return Math.max(this.heardAt(host) ?? 0, this.#takenOver.get(host)?.since ?? 0);
  }

  #speaks(host: string, recorded: HostRecord['agent']): Submission[] {
    this.#questions.delete(host);
    this.#takenOver.delete(host);
    if (recorded === 'speaking') this.reported.delete(host);
    if (recorded === 'speaking' || this.reported.get(host) === 'speaking') return [];
    this.reported.set(host, 'speaking');
    return [agentIs(host, 'speaking')];
  }

  #miss(host: string): Submission[] {
    const question = this.#questions.get(host);
    if (question === undefined) {
      const id = randomUUID();
      this.#questions.set(host, { id, seenAt: null });
      return [facts(`${QUESTION}${id}`, { host })];
    }
    const isAnswered = question.seenAt !== null && this.now() - question.seenAt > ANSWER_MS;
    if (!isAnswered || this.reported.get(host) === 'silent') return [];
    this.reported.set(host, 'silent');
    return [agentIs(host, 'silent')];
  }

  #asked(host: string, id: string, time: number): void {
    if (this.#hears(host)) {
      // One of long ago is settled.
      if (time > this.now() - 2 * ANSWER_MS) this.#answers.set(id, host);
      return;
    }
    const ours = this.#questions.get(host);
    // Another's question does for ours.
    if (ours === undefined && this.#isMissed(host)) this.#questions.set(host, { id, seenAt: this.now() });
    else if (ours?.id === id) ours.seenAt ??= this.now();
  }

  /** The ledger was told since we heard it: it is for whoever did that to watch it. */
  #standDown(host: string): void {
    this.#questions.delete(host);
    this.#takenOver.delete(host);
    this.forget(host);
  }
}
