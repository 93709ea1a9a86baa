import type { Command, Question } from '../../../events/commands.ts';
import type { Domain } from '../../../events/inputs.ts';
import type { DomainJob } from '../../../events/libvirt.ts';
import { domainIn } from '../../support/libvirt-words.ts';
import type { Agents } from './agents.ts';
import { bootIdOf, type Host, type Qemu } from './hypervisor.ts';

/** The true state of a host when it was sampled for an answer. */
export type Sample = {
  readonly at: number;
  readonly host: string;
  readonly vm: string;
  readonly what: 'none' | 'shell' | 'guest' | 'failed';
  job: Qemu['job'];
};

type Sampling = { question: Question; bad: boolean; words: { state: string; reason: string } | null; sample: Sample };

/** The agent of one host: answers questions from real listings, forwards events in order, and executes commands. */
export class Agent {
  readonly host: Host;
  readonly #agents: Agents;
  #waiting: Question[] = [];
  #answers = 0;
  /** The generation rises when the agent ends; planned work of an older generation is dropped. */
  #life = 0;
  /** The boot at the first question about a migration; the condition `same-boot` refers to it. */
  readonly #bootOf = new Map<string, number>();
  readonly #done = new Set<string>();
  readonly #tokens = new Map<string, number>();

  constructor(agents: Agents, host: Host) {
    this.#agents = agents;
    this.host = host;
  }

  receive(question: Question): void {
    if (!this.#bootOf.has(question.migration)) this.#bootOf.set(question.migration, this.host.boot);
    this.#waiting.push(question);
    if (this.#waiting.length === 1) this.#agents.sim.after(this.#agents.random.integer(0, 80), () => this.#list());
  }

  /** The host lost power, or the agent restarted: memory is lost, and executed commands stay on disk. */
  forget(): void {
    this.#life += 1;
    this.#waiting = [];
    this.#bootOf.clear();
  }

  /** One listing answers every question received before it began. State and job are read one after the other. */
  #list(): void {
    const { sim, random } = this.#agents;
    const questions = this.#waiting;
    const life = this.#life;
    this.#waiting = [];
    const failed = sim.fault('listing-failed', 0.05);
    sim.after(sim.fault('listing-slow', 0.05) ? random.integer(500, 6000) : random.integer(0, 60), () => {
      if (this.#life !== life) return;
      const states = questions.map((question) => this.#stateOf(question, failed));
      const racesMs = sim.fault('listing-races', 0.1) ? random.integer(50, 2500) : random.integer(0, 20);
      sim.after(racesMs, () => {
        if (this.#life !== life) return;
        states.forEach((state) => this.#answer(state));
      });
    });
  }

  #stateOf(question: Question, failed: boolean): Sampling {
    const qemu = this.host.qemus.get(question.vm);
    const bad = failed || !this.host.libvirtd;
    const what: Sample['what'] = bad ? 'failed' : qemu === undefined ? 'none' : qemu.shell ? 'shell' : 'guest';
    const words =
      qemu === undefined
        ? this.#offWords(question.vm)
        : { state: qemu.running ? 'running' : 'paused', reason: qemu.reason };
    const sample: Sample = {
      at: this.#agents.sim.now,
      host: this.host.name,
      vm: question.vm,
      what,
      job: qemu?.job ?? 'none',
    };
    return { question, bad, words, sample };
  }

  #offWords(vm: string): { state: string; reason: string } | null {
    const reason = this.host.off.get(vm);
    return reason === undefined ? null : { state: 'shut off', reason };
  }

  #answer({ question, bad, words, sample }: Sampling): void {
    sample.job = this.host.qemus.get(question.vm)?.job ?? 'none';
    const name = this.#agents.hypervisor.guest(question.vm).name;
    const boot = bootIdOf(this.host);
    // The job is already a word of the vocabulary; virsh has numbers and error texts for it.
    const job = this.#job(question.vm);
    const domain: Domain | null = words === null ? null : { ...domainIn({ name, ...words, job: 'none' }), job };
    const base = { question: question.question, host: this.host.name, boot };
    const data = bad
      ? { ...base, ok: false, error: 'Connection refused', domain: null }
      : { ...base, ok: true, domain };
    this.#answers += 1;
    const id = `${question.question}/answer-${this.host.name}-${this.#answers}`;
    this.#agents.answer(this.host, question.vm, id, data, sample);
  }

  #job(vm: string): DomainJob {
    const { sim } = this.#agents;
    const qemu = this.host.qemus.get(vm);
    if (qemu === undefined) return 'none';
    if (!this.host.libvirtd || sim.now < this.host.jobsBlockedUntil || sim.fault('job-query-times-out', 0.03))
      return 'unknown';
    return qemu.job;
  }

  /** Executes a command once per command id; a refused command may be sent again. */
  execute(command: Command): void {
    if (!this.host.up) return;
    if (this.#done.has(command.command) && this.#agents.rules.deduplicates)
      return this.#agents.acknowledge(command, null);
    const refusal = this.#refusal(command) ?? this.#agents.carryOut(command, this.host);
    if (refusal === null) {
      this.#agents.carriedOut(command, this.#done.has(command.command));
      this.#done.add(command.command);
    }
    this.#agents.sim.trace(
      () => `agent ${this.host.name} ${command.command} (token ${command.token}): ${refusal ?? 'done'}`,
    );
    this.#agents.acknowledge(command, refusal);
  }

  #refusal(command: Command): string | null {
    if (!this.host.libvirtd) return 'libvirtd does not answer';
    const qemu = this.host.qemus.get(command.vm);
    // A command to destroy or release an object that does not exist needs no condition.
    if (command.kind === 'destroy-leftover' && qemu === undefined) return null;
    const stale = command.volume === null ? null : this.#refusalOfToken(command, `${command.vm}/${command.volume}`);
    if (stale !== null) return stale;
    if (command.kind === 'release-lock' && !this.#agents.holds(command.volume, this.host.name)) return null;
    for (const condition of command.onlyIf) {
      if (condition === 'no-opener' && qemu !== undefined) return 'a QEMU process has the volume open';
      if (condition === 'paused' && qemu?.running === true) return 'the guest is not paused';
      if (condition === 'same-boot' && this.#bootOf.get(command.migration) !== this.host.boot)
        return 'the host has booted since';
    }
    return null;
  }

  #refusalOfToken({ token }: Command, key: string): string | null {
    const highest = this.#tokens.get(key) ?? 0;
    if (token < highest && this.#agents.rules.checksTokens) return `token ${token} is older than ${highest}`;
    this.#tokens.set(key, Math.max(token, highest));
    return null;
  }
}
