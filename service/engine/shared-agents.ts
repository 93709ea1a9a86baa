import { randomUUID } from 'node:crypto';
import type { Entry } from '../../events/entries.ts';
import type { HostRecord } from '../../events/records.ts';
import { agentIs, Agents, FACTS, facts, wallClockHosts, SERVICE } from './agents.ts';
import type { Submission } from './engine.ts';

/**
 * Detects silent agents when an agent may send its requests to any of several instances. An agent that is silent at this
 * instance can speak to another instance, so this instance first asks the other instances, through an input with facts
 * of the host. An instance with a recent request answers and watches the agent from then on. Without an answer the agent
 * is reported as silent. The time for an answer begins when the question is readable in the ledger.
 */

type Question = { readonly id: string; seenAt: number | null };

/** The time for other instances to answer. */
const ANSWER_MS = 10_000;
/** The questions about taken-over hosts are spread over this time, or over 10 ms per host, to avoid a burst. */
const TAKE_OVER_MS = 5000;
const TAKE_OVER_MS_EACH = 10;
const QUESTION = 'agent-missed/';

export class SharedAgents extends Agents {
  readonly #questions = new Map<string, Question>();
  /** Hosts for which this instance must answer a question of another instance, by question id. */
  readonly #answers = new Map<string, string>();
  /** Hosts that may have lost their watching instance, with the time to ask about them. */
  readonly #takenOver = new Map<string, { readonly since: number; readonly dueAt: number }>();

  override changes(hosts: readonly HostRecord[]): Submission[] {
    const inputs = [...this.#answers].map(([id, host]) => agentIs(host, 'speaking', `agent-heard/${id}`));
    this.#answers.clear();
    for (const { host, agent } of wallClockHosts(hosts)) {
      if (this.#isHeard(host)) inputs.push(...this.#speaks(host, agent));
      else if (agent === 'speaking' && this.#isMissed(host)) inputs.push(...this.#miss(host));
    }
    return inputs;
  }

  override forgetReports(): void {
    super.forgetReports();
    for (const [host, { seenAt }] of this.#questions) if (seenAt === null) this.#questions.delete(host);
  }

  /** The number of silent agents by the recorded state, because another instance usually watches the agent. */
  override silent(hosts: readonly HostRecord[]): number {
    return wallClockHosts(hosts).filter(({ host, agent }) => agent === 'silent' && !this.#isHeard(host)).length;
  }

  /** Takes over hosts whose watching instance may have left. A host without a request within the limit is asked about. */
  takeOver(hosts: readonly string[], chance: () => number = Math.random): void {
    const since = this.now();
    const withinMs = Math.max(TAKE_OVER_MS, hosts.length * TAKE_OVER_MS_EACH);
    for (const host of hosts) {
      const dueAt = since + this.limitMs + chance() * withinMs;
      if (!this.#takenOver.has(host)) this.#takenOver.set(host, { since, dueAt });
    }
  }

  /** Reads the questions and answers of all instances from committed entries. */
  read(entries: readonly Entry[]): void {
    for (const { cause, time } of entries) {
      if (cause.kind !== 'input' || cause.type !== FACTS || cause.source !== SERVICE) continue;
      const { host, agent } = cause.data as { host: string; agent?: HostRecord['agent'] };
      if (agent === undefined) this.#asked(host, cause.id.slice(QUESTION.length), time);
      else if (!this.#isHeard(host) && time > this.#since(host)) this.#standDown(host);
    }
  }

  #isHeard(host: string): boolean {
    return this.hasAsked(host) && !this.isSilent(host);
  }

  #isMissed(host: string): boolean {
    return this.hasAsked(host) || this.now() >= (this.#takenOver.get(host)?.dueAt ?? Number.POSITIVE_INFINITY);
  }

  /** Returns the time since which this instance watches the host. Earlier reports are ignored. */
  #since(host: string): number {
    return Math.max(this.lastRequestAt(host) ?? 0, this.#takenOver.get(host)?.since ?? 0);
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
    if (this.#isHeard(host)) {
      // An old question is already answered or reported.
      if (time > this.now() - 2 * ANSWER_MS) this.#answers.set(id, host);
      return;
    }
    const ours = this.#questions.get(host);
    // The question of another instance replaces a question of this instance.
    if (ours === undefined && this.#isMissed(host)) this.#questions.set(host, { id, seenAt: this.now() });
    else if (ours?.id === id) ours.seenAt ??= this.now();
  }

  /** Stops watching the host, because another instance reported it later. */
  #standDown(host: string): void {
    this.#questions.delete(host);
    this.#takenOver.delete(host);
    this.forget(host);
  }
}
