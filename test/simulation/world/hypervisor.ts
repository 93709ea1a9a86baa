import type { LifecycleDetail, LifecycleEvent } from '../../../events/libvirt.ts';
import type { Volume } from '../../../events/vocabulary.ts';
import type { Sim } from './sim.ts';

/** The true state of the world: hosts, their QEMU processes, and the home of each guest. Only the checker reads it directly. */

export type Qemu = {
  readonly vm: string;
  readonly host: string;
  /** True for a process that receives a migration and whose CPUs never ran. */
  shell: boolean;
  running: boolean;
  /** libvirt's reason for the state. */
  reason: string;
  job: 'none' | 'outgoing' | 'incoming';
  /** True once the CPUs of the process ran. */
  ran: boolean;
  /** The copy from which this copy was made. */
  origin: Qemu | null;
};

export type Host = {
  readonly name: string;
  boot: number;
  up: boolean;
  libvirtd: boolean;
  /** Job queries time out until this time. */
  jobsBlockedUntil: number;
  readonly qemus: Map<string, Qemu>;
  /** Domains that are defined on the host and off, with the reason. */
  readonly off: Map<string, string>;
};

type Since = { readonly at: number; readonly hosts: readonly string[] };

export type Guest = {
  readonly vm: string;
  readonly name: string;
  readonly volumes: readonly Volume[];
  readonly persistent: boolean;
  /** The homes of the guest and the start of each; two hosts while their copies are indistinguishable. */
  readonly homes: Since[];
  /** The hosts with a running or paused guest, and the start of each stay. */
  readonly lives: Since[];
};

export type LifecycleListener = (host: string, vm: string, event: LifecycleEvent, detail: LifecycleDetail) => void;
export type HostListener = (host: Host, what: 'libvirtd-down' | 'libvirtd-up' | 'host-down' | 'host-up') => void;

export class Hypervisor {
  readonly hosts = new Map<string, Host>();
  readonly guests = new Map<string, Guest>();
  readonly onEvent: LifecycleListener[] = [];
  readonly onHost: HostListener[] = [];
  readonly onQemuGone: ((qemu: Qemu) => void)[] = [];
  readonly #sim: Sim;

  constructor(sim: Sim) {
    this.#sim = sim;
  }

  addHost(name: string): void {
    this.hosts.set(name, {
      name,
      boot: 1,
      up: true,
      libvirtd: true,
      jobsBlockedUntil: 0,
      qemus: new Map(),
      off: new Map(),
    });
  }

  addGuest(guest: Omit<Guest, 'homes' | 'lives'>, host: string, running: boolean): void {
    this.guests.set(guest.vm, { ...guest, homes: [{ at: 0, hosts: [host] }], lives: [] });
    const qemu = this.spawn(host, guest.vm, running ? 'booted' : 'user');
    qemu.running = running;
    qemu.ran = true;
  }

  host(name: string): Host {
    const host = this.hosts.get(name);
    if (host === undefined) throw new RangeError(`no host ${name}`);
    return host;
  }

  guest(vm: string): Guest {
    const guest = this.guests.get(vm);
    if (guest === undefined) throw new RangeError(`no guest ${vm}`);
    return guest;
  }

  qemu(host: string, vm: string): Qemu | undefined {
    return this.host(host).qemus.get(vm);
  }

  isAlive(qemu: Qemu): boolean {
    return this.host(qemu.host).qemus.get(qemu.vm) === qemu;
  }

  homesOf(vm: string): readonly string[] {
    return this.guest(vm).homes.at(-1)?.hosts ?? [];
  }

  setHomes(vm: string, ...hosts: string[]): void {
    const guest = this.guest(vm);
    guest.homes.push({ at: this.#sim.now, hosts });
    this.#noteLife(vm);
    this.#sim.trace(() => `${guest.name} is at home on ${hosts.join(' and ')}`);
  }

  /**
   * A copy of the guest moved to `to`, and the home moves with it. The move of a leftover from an earlier migration changes no
   * home, and a second home stays.
   */
  moveHome(vm: string, from: string, ...to: string[]): void {
    const homes = this.homesOf(vm);
    if (!homes.includes(from)) return;
    this.setHomes(vm, ...new Set([...homes.filter((home) => home !== from), ...to]));
  }

  /** Returns every host that was the guest's home at some time since `from`. */
  homesSince(vm: string, from: number): Set<string> {
    const { homes } = this.guest(vm);
    const first = Math.max(
      0,
      homes.findLastIndex((home) => home.at <= from),
    );
    return new Set(homes.slice(first).flatMap((home) => home.hosts));
  }

  /** Returns true if the guest had two indistinguishable homes during the whole time since `from`. */
  wasSplitSince(vm: string, from: number): boolean {
    const { homes } = this.guest(vm);
    const first = Math.max(
      0,
      homes.findLastIndex((home) => home.at <= from),
    );
    return homes.slice(first).every(({ hosts }) => hosts.length > 1);
  }

  spawn(host: string, vm: string, reason: string, shell = false): Qemu {
    const qemu: Qemu = { vm, host, shell, running: false, reason, job: 'none', ran: false, origin: null };
    this.host(host).qemus.set(vm, qemu);
    this.#noteLife(vm);
    return qemu;
  }

  #noteLife(vm: string): void {
    const on = [...this.hosts.values()].filter((host) => host.qemus.get(vm)?.shell === false).map((host) => host.name);
    this.guest(vm).lives.push({ at: this.#sim.now, hosts: on });
  }

  /** Returns true if no host had the guest at some time since `from`. */
  wasNowhereSince(vm: string, from: number): boolean {
    const { lives } = this.guest(vm);
    const first = Math.max(
      0,
      lives.findLastIndex((life) => life.at <= from),
    );
    return lives.slice(first).some((life) => life.hosts.length === 0);
  }

  emit(qemu: Pick<Qemu, 'host' | 'vm'>, event: LifecycleEvent, detail: LifecycleDetail): void {
    for (const listener of this.onEvent) listener(qemu.host, qemu.vm, event, detail);
  }

  /** Ends a QEMU process; a persistent domain stays defined. */
  end(qemu: Qemu, reason: string, event: LifecycleEvent, detail: LifecycleDetail): void {
    if (!this.isAlive(qemu)) return;
    const host = this.host(qemu.host);
    host.qemus.delete(qemu.vm);
    this.#noteLife(qemu.vm);
    qemu.running = false;
    qemu.job = 'none';
    if (this.guest(qemu.vm).persistent && !qemu.shell) host.off.set(qemu.vm, reason);
    this.emit(qemu, event, detail);
    for (const listener of this.onQemuGone) listener(qemu);
    this.#settleSplit(qemu);
  }

  /**
   * If one of two homes loses the guest, the other host is the only home. A copy that ended before its CPUs ran contained nothing
   * new, so the home returns to the copy from which it was made, if that copy still exists.
   */
  #settleSplit({ vm, host, ran, origin }: Qemu): void {
    const homes = this.homesOf(vm);
    const isOrigin = !ran && origin !== null && this.isAlive(origin);
    if (isOrigin && homes.length === 1 && homes[0] === host) return this.setHomes(vm, origin.host);
    const left = homes.filter((home) => home !== host && this.qemu(home, vm)?.shell === false);
    if (homes.includes(host) && homes.length > 1 && left.length === 1) this.setHomes(vm, ...left);
  }

  run(qemu: Qemu, reason: string, detail: LifecycleDetail): void {
    qemu.running = true;
    qemu.ran = true;
    qemu.shell = false;
    qemu.reason = reason;
    this.host(qemu.host).off.delete(qemu.vm);
    this.emit(qemu, 'Resumed', detail);
  }

  pause(qemu: Qemu, reason: string, detail: LifecycleDetail): void {
    qemu.running = false;
    qemu.reason = reason;
    this.emit(qemu, 'Suspended', detail);
  }

  stopLibvirtd(name: string): void {
    const host = this.host(name);
    if (!host.up || !host.libvirtd) return;
    this.#sim.trace(() => `libvirtd of ${name} stops`);
    host.libvirtd = false;
    this.#tell(host, 'libvirtd-down');
  }

  startLibvirtd(name: string): void {
    const host = this.host(name);
    if (!host.up || host.libvirtd) return;
    host.libvirtd = true;
    this.#sim.trace(() => `libvirtd of ${name} is back`);
    this.#tell(host, 'libvirtd-up');
  }

  /** The host loses power: its guests end, and no event is sent. */
  powerOff(name: string): void {
    const host = this.host(name);
    if (!host.up) return;
    this.#sim.trace(() => `host ${name} loses its power`);
    host.up = false;
    host.libvirtd = false;
    this.#tell(host, 'host-down');
    for (const qemu of host.qemus.values()) this.end(qemu, 'unknown', 'Stopped', 'Failed');
    for (const vm of host.off.keys()) host.off.set(vm, 'unknown');
  }

  powerOn(name: string): void {
    const host = this.host(name);
    if (host.up) return;
    host.up = true;
    host.libvirtd = true;
    host.boot += 1;
    this.#sim.trace(() => `host ${name} has booted`);
    this.#tell(host, 'host-up');
  }

  #tell(host: Host, what: Parameters<HostListener>[1]): void {
    for (const listener of this.onHost) listener(host, what);
  }
}

export const bootIdOf = (host: Pick<Host, 'name' | 'boot'>) => `${host.name}-boot-${host.boot}`;
