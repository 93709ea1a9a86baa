import type { Service } from '../landfall/service.ts';
import type { FaultKind } from './faults.ts';
import type { Agents } from './agents.ts';
import type { Guest, Hypervisor, Qemu } from './hypervisor.ts';
import type { Orchestrator } from './orchestrator.ts';
import type { Letter, Outbox } from './outbox.ts';
import type { Random } from './random.ts';
import type { Sim } from './sim.ts';

/** Failures of hosts and guests at random times until the world becomes calm, and the repair of each failure. */
export class Disasters {
  readonly #sim: Sim;
  readonly #random: Random;
  readonly #world: Hypervisor;
  readonly #agents: Agents;
  readonly #outbox: Outbox;
  readonly #orchestrator: Orchestrator;
  readonly #service: Pick<Service, 'kill' | 'restart' | 'stepClock'>;
  readonly #whenDurable: (letter: Letter, run: () => void) => void;
  #letters = 0;

  constructor(
    sim: Sim,
    parts: {
      world: Hypervisor;
      agents: Agents;
      outbox: Outbox;
      orchestrator: Orchestrator;
      service: Pick<Service, 'kill' | 'restart' | 'stepClock'>;
      whenDurable: (letter: Letter, run: () => void) => void;
    },
  ) {
    this.#sim = sim;
    this.#random = sim.random('disasters');
    this.#world = parts.world;
    this.#agents = parts.agents;
    this.#outbox = parts.outbox;
    this.#orchestrator = parts.orchestrator;
    this.#service = parts.service;
    this.#whenDurable = parts.whenDurable;
  }

  /** Plans several failures of each kind, spread over the time of faults. */
  plan(times: number): void {
    const kinds: [FaultKind, number, () => void][] = [
      ['libvirtd-restart', 0.5, () => this.#restartLibvirtd()],
      ['host-reboot', 0.35, () => this.#reboot()],
      ['qemu-crash', 0.4, () => this.#crashQemu()],
      ['guest-paused', 0.4, () => this.#pauseGuest()],
      ['io-error', 0.2, () => this.#ioError()],
      ['stream-cut', 0.5, () => this.#agents.cutStream(this.#host(), this.#random.integer(100, 20_000))],
      ['agent-restart', 0.6, () => this.#agents.restart(this.#host(), this.#random.integer(50, 4000))],
      ['agent-silent', 0.3, () => this.#agents.silence(this.#host(), this.#random.integer(2000, 40_000))],
      ['moved-on', 0.15, () => this.#orchestrator.moveOn(this.#guest())],
      ['started-elsewhere', 0.6, () => this.#startElsewhere()],
      ['clock-back', 0.2, () => this.#service.stepClock(-this.#random.integer(100, 40_000))],
      ['clock-forward', 0.2, () => this.#service.stepClock(this.#random.integer(100, 40_000))],
      ['service-crash', 0.2, () => this.#service.kill('by somebody')],
      ['service-restart', 0.2, () => this.#service.restart()],
      ['operator', 0.8, () => this.#orchestrator.operate()],
    ];
    for (const [kind, probability, run] of kinds) {
      for (let nth = 0; nth < times; nth += 1) {
        const at = this.#sim.random(`plan:${kind}`).integer(100, this.#sim.faultsUntil);
        this.#sim.schedule.at(at, () => {
          if (this.#sim.fault(kind, probability)) run();
        });
      }
    }
  }

  #host(): string {
    return this.#random.pick([...this.#world.hosts.keys()]);
  }

  #guest(): Guest {
    return this.#random.pick([...this.#world.guests.values()]);
  }

  #aQemu(): Qemu | undefined {
    const all = [...this.#world.hosts.values()].flatMap((host) => [...host.qemus.values()]);
    return all.length === 0 ? undefined : this.#random.pick(all);
  }

  #restartLibvirtd(): void {
    const host = this.#host();
    this.#world.stopLibvirtd(host);
    this.#sim.after(this.#random.integer(300, 20_000), () => this.#world.startLibvirtd(host));
  }

  #reboot(): void {
    const host = this.#host();
    if (!this.#world.host(host).up) return;
    const guests = [...this.#world.host(host).qemus.keys()];
    this.#world.powerOff(host);
    const downMs = this.#random.integer(2000, 60_000);
    if (this.#sim.fault('host-fenced', 0.5)) this.#fence(host, downMs);
    else this.#sim.after(downMs, () => this.#world.powerOn(host));
    for (const vm of guests) this.#expireLeases(vm, host, downMs);
  }

  /** Fencing ends the leases of the host. The host is powered on only after Landfall has accepted the report. */
  #fence(host: string, downMs: number): void {
    for (const guest of this.#world.guests.values())
      for (const { volume } of guest.volumes) this.#agents.freeLock(volume, host);
    const delayMs = this.#random.integer(10, downMs);
    const letter = this.#tell('landfall.host.fenced.v1', null, { host, by: 'ipmi' }, delayMs);
    this.#whenDurable(letter, () => this.#sim.after(downMs - delayMs, () => this.#world.powerOn(host)));
  }

  #expireLeases(vm: string, host: string, downMs: number): void {
    if (!this.#sim.fault('lease-expired', 0.4)) return;
    for (const { volume, shareable } of this.#world.guest(vm).volumes) {
      if (!shareable)
        this.#tell('landfall.volume.lease-expired.v1', vm, { volume, host }, this.#random.integer(1000, downMs + 1000));
    }
  }

  #tell(type: Parameters<Outbox['post']>[0]['type'], vm: string | null, data: unknown, delayMs: number): Letter {
    this.#letters += 1;
    const letter = { source: 'site', id: `s${this.#letters}`, type, vm, data };
    this.#outbox.post(letter, delayMs);
    return letter;
  }

  #crashQemu(): void {
    const qemu = this.#aQemu();
    if (qemu !== undefined) this.#world.end(qemu, 'crashed', 'Stopped', 'Crashed');
  }

  /** An operator suspends a guest, and resumes it later if the host is still its home. */
  #pauseGuest(): void {
    const qemu = this.#aQemu();
    if (qemu === undefined || !qemu.running || qemu.reason === 'post-copy') return;
    this.#world.pause(qemu, qemu.job === 'outgoing' ? 'migrating' : 'user', 'Paused');
    this.#resumeLater(qemu);
  }

  #ioError(): void {
    const qemu = this.#aQemu();
    if (qemu === undefined || !qemu.running || qemu.reason === 'post-copy') return;
    this.#world.pause(qemu, 'I/O error', 'I/O Error');
    this.#resumeLater(qemu);
  }

  #resumeLater(qemu: Qemu): void {
    if (this.#random.chance(0.4)) return;
    this.#sim.after(this.#random.integer(500, 30_000), () => {
      const homes = this.#world.homesOf(qemu.vm);
      const mayRun =
        this.#world.isAlive(qemu) &&
        !qemu.running &&
        qemu.job === 'none' &&
        homes.length === 1 &&
        homes[0] === qemu.host;
      if (mayRun) this.#world.run(qemu, 'unpaused', 'Unpaused');
    });
  }

  /** High availability or an operator boots a guest that runs on no host. */
  #startElsewhere(): void {
    for (const { vm } of this.#world.guests.values()) {
      const hosts = [...this.#world.hosts.values()];
      if (hosts.some((host) => host.qemus.has(vm))) continue;
      const up = hosts.filter((host) => host.libvirtd);
      if (up.length === 0) continue;
      const host = this.#random.pick(up);
      const open = this.#orchestrator.isOpen(vm);
      // A requested boot is refused while an attempt is open. A boot without a request may happen before Landfall's decision.
      if (open === 'decided') continue;
      if (open === null) this.#agents.moveLocks(vm, host.name);
      host.off.delete(vm);
      const qemu = this.#world.spawn(host.name, vm, 'booted');
      Object.assign(qemu, { running: true, ran: true });
      this.#world.setHomes(vm, host.name);
      this.#world.emit(qemu, 'Started', 'Booted');
      this.#world.emit(qemu, 'Resumed', 'Unpaused');
    }
  }
}
