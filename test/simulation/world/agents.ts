import type { Command } from '../../../events/commands.ts';
import { unreachable } from '../../../events/fault.ts';
import type { InputData } from '../../../events/inputs.ts';
import type { LifecycleDetail, LifecycleEvent } from '../../../events/libvirt.ts';
import type { WorkItem } from '../../../producers/work-queue.ts';
import { Agent, type Sample } from './agent.ts';
import { bootIdOf, type Host, type Hypervisor, type Qemu } from './hypervisor.ts';
import type { LockManager } from './lock-manager.ts';
import type { Outbox } from './outbox.ts';
import { Poller, type Poll } from './poller.ts';
import type { Random } from './random.ts';
import type { Sim } from './sim.ts';

/** Safety rules of the agents; a test of the checker can switch off each rule. */
export type AgentRules = {
  readonly deduplicates: boolean;
  readonly checksTokens: boolean;
  /** The maximum delay of a late command, in milliseconds. */
  readonly lateMsMax?: number;
};

/** Observes the actions of agents. */
export interface Witness {
  sampled(input: string, sample: Sample): void;
  /** Returns true if this host ever reported the guest to Landfall. */
  wasToldBy(vm: string, host: string): boolean;
  /** Called before the lock manager grants a lock. */
  acquiring(command: Command, host: string, holders: readonly string[]): void;
  resuming(command: Command, qemu: Qemu): void;
  destroying(command: Command, qemu: Qemu): void;
  carriedOut(command: Command, repeated: boolean): void;
}

/** All agents, and the network between agents and Landfall, which loses, delays, repeats and reorders messages. */
export class Agents {
  readonly sim: Sim;
  readonly random: Random;
  readonly hypervisor: Hypervisor;
  readonly rules: AgentRules;
  readonly #locks: LockManager;
  readonly #outbox: Outbox;
  readonly #witness: Witness;
  readonly #agents = new Map<string, Agent>();
  readonly #streams = new Map<string, boolean>();
  readonly #pollers = new Map<string, Poller>();
  readonly #silent = new Set<string>();
  readonly #ended = new Set<string>();
  #acknowledged = 0;

  constructor(
    sim: Sim,
    hypervisor: Hypervisor,
    locks: LockManager,
    ways: { outbox: Outbox; poll: Poll },
    witness: Witness,
    rules: AgentRules,
  ) {
    this.sim = sim;
    this.random = sim.random('agents');
    this.hypervisor = hypervisor;
    this.rules = rules;
    this.#locks = locks;
    this.#outbox = ways.outbox;
    this.#witness = witness;
    for (const host of hypervisor.hosts.values()) {
      this.#agents.set(host.name, new Agent(this, host));
      this.#pollers.set(host.name, new Poller(sim, ways.poll, host.name, (item) => this.#take(host.name, item)));
    }
    hypervisor.onEvent.push((host, vm, event, detail) => this.#event(host, vm, event, detail));
    hypervisor.onHost.push((host, what) => this.#hostChanged(host, what));
  }

  #agent(host: string): Agent {
    const agent = this.#agents.get(host);
    if (agent === undefined) throw new RangeError(`no agent on ${host}`);
    return agent;
  }

  #poller(host: string): Poller {
    const poller = this.#pollers.get(host);
    if (poller === undefined) throw new RangeError(`no agent on ${host}`);
    return poller;
  }

  /** Work handed out to an agent may be lost or delayed on the way. */
  #take(host: string, item: WorkItem): void {
    switch (item.kind) {
      case 'question':
        if (!this.sim.fault('question-lost', 0.05)) this.#agent(host).receive(item.question);
        return;
      case 'command':
        return this.#takeCommand(host, item.command);
      default:
        return unreachable(item);
    }
  }

  #takeCommand(host: string, command: Command): void {
    if (this.sim.fault('command-lost', 0.06)) return;
    const delayMs = this.sim.fault('command-late', 0.08)
      ? this.random.integer(500, this.rules.lateMsMax ?? 30_000)
      : this.random.integer(1, 60);
    this.sim.after(delayMs, () => {
      if (!this.#ended.has(host)) this.#agent(host).execute(command);
    });
  }

  answer(host: Host, vm: string, id: string, data: InputData<'landfall.host.answered.v1'>, sample: Sample): void {
    this.#witness.sampled(id, sample);
    this.sim.trace(
      () =>
        `agent ${host.name} answers ${data.question}: ${sample.what}, ${JSON.stringify(data.domain?.state ?? null)} (${data.domain?.reason ?? ''}), job ${data.domain?.job ?? '-'}`,
    );
    if (this.sim.fault('answer-lost', 0.05)) return;
    const lateMs = this.sim.fault('answer-late', 0.08) ? this.random.integer(500, 25_000) : this.random.integer(1, 60);
    const event = { source: `agent/${host.name}`, id, type: 'landfall.host.answered.v1', vm, data } as const;
    this.#outbox.post(event, lateMs);
    if (this.sim.fault('answer-repeated', 0.05)) this.#outbox.post(event, lateMs + this.random.integer(1, 20_000));
  }

  #event(host: string, vm: string, event: LifecycleEvent, detail: LifecycleDetail): void {
    this.sim.trace(() => `event ${host} ${event} ${detail}${this.isStreaming(host) ? '' : ' (nobody hears it)'}`);
    if (!this.isStreaming(host)) return;
    this.#outbox.stream(host, {
      type: 'landfall.host.lifecycle.v1',
      vm,
      data: { host, event, detail },
    });
  }

  isStreaming(host: string): boolean {
    return this.#canListen(host) && this.#streams.get(host) !== false;
  }

  #canListen(host: string): boolean {
    return !this.#ended.has(host) && this.hypervisor.host(host).libvirtd;
  }

  #hostChanged(host: Host, what: 'libvirtd-down' | 'libvirtd-up' | 'host-down' | 'host-up'): void {
    switch (what) {
      case 'host-down':
        return this.#end(host.name);
      case 'libvirtd-down':
        return this.#facts(host, 'lost');
      case 'host-up':
        this.#begin(host.name);
        return this.#reconnect(host);
      case 'libvirtd-up':
        return this.#reconnect(host);
      default:
        return unreachable(what);
    }
  }

  /** The agent keeps the data on its disk and loses its memory and unsent events. */
  #end(host: string): void {
    this.#agent(host).forget();
    this.#outbox.cut(host);
    this.#poller(host).stop();
    this.#poller(host).forget();
    this.#streams.set(host, false);
    this.#ended.add(host);
  }

  #begin(host: string): void {
    this.#silent.delete(host);
    this.#ended.delete(host);
    this.#poller(host).start();
  }

  /** The agent's process restarts. The new process knows of no lost stream and reports `connected`. */
  restart(host: string, downMs: number): void {
    const { boot, up } = this.hypervisor.host(host);
    if (!up) return;
    this.sim.trace(() => `the agent on ${host} restarts`);
    this.#end(host);
    this.sim.after(downMs, () => {
      const now = this.hypervisor.host(host);
      if (!now.up || now.boot !== boot) return;
      this.#begin(host);
      this.#reconnect(now);
    });
  }

  /** The agent stops asking for work for a while; libvirt's events are still sent. */
  silence(host: string, forMs: number): void {
    if (!this.hypervisor.host(host).up) return;
    this.sim.trace(() => `the agent on ${host} falls silent`);
    this.#silent.add(host);
    this.#poller(host).stop();
    this.sim.after(forMs, () => {
      if (this.#silent.has(host) && this.hypervisor.host(host).up) this.#begin(host);
    });
  }

  #reconnect(host: Host): void {
    if (!this.#canListen(host.name)) return;
    this.#streams.set(host.name, true);
    host.jobsBlockedUntil = this.sim.now + this.random.integer(0, 20_000);
    this.#facts(host, 'connected');
  }

  /** The agent loses libvirt's event stream for a while and notices the loss. */
  cutStream(host: string, forMs: number): void {
    if (!this.isStreaming(host)) return;
    this.#streams.set(host, false);
    this.#facts(this.hypervisor.host(host), 'lost');
    this.sim.after(forMs, () => {
      if (this.#streams.get(host) === false) this.#reconnect(this.hypervisor.host(host));
    });
  }

  #facts(host: Host, stream: 'connected' | 'lost'): void {
    if (this.#ended.has(host.name)) return;
    const data = { host: host.name, zone: 'z', cluster: 'c', boot: bootIdOf(host), stream };
    this.#outbox.stream(host.name, { type: 'landfall.host.facts.v1', vm: null, data });
  }

  /** Registers every host before the first migration, because an unregistered host cannot be asked. */
  introduce(): void {
    for (const host of this.hypervisor.hosts.values()) {
      this.#begin(host.name);
      const data = { host: host.name, zone: 'z', cluster: 'c', boot: bootIdOf(host), stream: 'connected' };
      this.#outbox.post(
        { source: 'site', id: `register-${host.name}`, type: 'landfall.host.facts.v1', vm: null, data },
        1,
      );
    }
  }

  acknowledge(command: Command, refusal: string | null): void {
    if (this.sim.fault('acknowledgement-lost', 0.06)) return;
    this.#acknowledged += 1;
    const data = { command: command.command, ok: refusal === null, ...(refusal === null ? {} : { error: refusal }) };
    const source = command.host === null ? 'orchestrator' : `agent/${command.host}`;
    const id = `ack-${this.#acknowledged}`;
    this.#outbox.post(
      { source, id, type: 'landfall.command.acknowledged.v1', vm: command.vm, data },
      this.random.integer(1, 60),
    );
  }

  carriedOut(command: Command, repeated: boolean): void {
    this.#witness.carriedOut(command, repeated);
  }

  /** Applies a command to the world. Returns the reason if the command is refused. */
  carryOut(command: Command, host: Host): string | null {
    const qemu = host.qemus.get(command.vm);
    switch (command.kind) {
      case 'acquire-lock':
        return this.#acquire(command, host);
      case 'release-lock':
        if (this.sim.fault('lock-refused', 0.12)) return 'the lock manager refused';
        this.#locks.free(command.volume ?? '', host.name);
        return null;
      case 'destroy-leftover':
        if (qemu === undefined) return null;
        this.#witness.destroying(command, qemu);
        this.hypervisor.end(qemu, 'destroyed', 'Stopped', 'Destroyed');
        return null;
      case 'resume-guest':
        if (qemu === undefined) return 'the guest is not here';
        // libvirt modifies no domain during its migration job.
        if (qemu.job !== 'none') return 'Timed out during operation: cannot acquire state change lock';
        this.#witness.resuming(command, qemu);
        if (!qemu.running) this.hypervisor.run(qemu, 'unpaused', 'Unpaused');
        return null;
      default:
        return `no agent does ${command.kind}`;
    }
  }

  holds(volume: string | null, host: string): boolean {
    return volume !== null && this.#locks.holders(volume).includes(host);
  }

  freeLock(volume: string, host: string): void {
    this.#locks.free(volume, host);
  }

  /** An operator moves a guest's locks together with the guest. */
  moveLocks(vm: string, host: string): void {
    for (const { volume, shareable } of this.hypervisor.guest(vm).volumes) {
      if (shareable) continue;
      for (const holder of this.#locks.holders(volume)) this.#locks.free(volume, holder);
      this.#locks.hold(volume, host, 'hand');
    }
  }

  /** An operator releases the guest's locks on all hosts except this one. */
  freeLocks(vm: string, but: string): void {
    for (const { volume, shareable } of this.hypervisor.guest(vm).volumes) {
      if (shareable) continue;
      for (const holder of this.#locks.holders(volume)) if (holder !== but) this.#locks.free(volume, holder);
    }
  }

  #acquire(command: Command, host: Host): string | null {
    if (this.sim.fault('lock-refused', 0.12)) return 'the lock manager refused';
    const volume = command.volume ?? '';
    const others = this.#locks.holders(volume).filter((holder) => holder !== host.name);
    const isHidden = (holder: string) =>
      this.#locks.isByHand(volume, holder) && !this.#witness.wasToldBy(command.vm, holder);
    if (others.length > 0 && others.every(isHidden)) return `held by ${others.join(', ')}`;
    this.#witness.acquiring(command, host.name, this.#locks.holders(volume));
    this.#locks.hold(volume, host.name);
    return null;
  }
}
