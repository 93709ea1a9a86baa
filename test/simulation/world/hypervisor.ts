import type { Volume } from '../../../events/vocabulary.ts';
import type { Sim } from './sim.ts';

/** The truth: hosts, the QEMU processes on them, and where each guest is at home. Nobody but the checker sees it directly. */

export type Qemu = {
  readonly vm: string;
  readonly host: string;
  /** It receives a migration, and its CPUs never ran. */
  shell: boolean;
  running: boolean;
  /** libvirt's reason for the state. */
  reason: string;
  job: 'none' | 'outgoing' | 'incoming';
  /** Its CPUs ran. */
  ran: boolean;
  /** The copy that it was made from. */
  origin: Qemu | null;
};

export type Host = {
  readonly name: string;
  boot: number;
  up: boolean;
  libvirtd: boolean;
  /** Until then job queries time out. */
  jobsBlockedUntil: number;
  readonly qemus: Map<string, Qemu>;
  /** Domains that are defined here and off, with the reason. */
  readonly off: Map<string, string>;
};

type Since = { readonly at: number; readonly hosts: readonly string[] };

export type Guest = {
  readonly vm: string;
  readonly name: string;
  readonly volumes: readonly Volume[];
  readonly persistent: boolean;
  /** Where the guest was at home, and since when: two hosts where nobody can say which. */
  readonly homes: Since[];
  /** On which hosts it was resident, running or paused, and since when. */
  readonly lives: Since[];
};

export type LifecycleListener = (host: string, vm: string, event: string, detail: string) => void;
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
   * A copy of the guest went over: where the guest was at home with it, that is now on `to`. A copy that was not its home (the
   * leftover of an earlier migration) takes the guest's home nowhere, and a second home that it had stays one.
   */
  moveHome(vm: string, from: string, ...to: string[]): void {
    const homes = this.homesOf(vm);
    if (!homes.includes(from)) return;
    this.setHomes(vm, ...new Set([...homes.filter((home) => home !== from), ...to]));
  }

  /** Every host the guest was at home on at some time since `from`. */
  homesSince(vm: string, from: number): Set<string> {
    const { homes } = this.guest(vm);
    const first = Math.max(
      0,
      homes.findLastIndex((home) => home.at <= from),
    );
    return new Set(homes.slice(first).flatMap((home) => home.hosts));
  }

  /** Whether all the time since `from` the guest was at home on two hosts, and nobody can say which is the right one. */
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

  /** Whether there was a time since `from` when no host had the guest. */
  wasNowhereSince(vm: string, from: number): boolean {
    const { lives } = this.guest(vm);
    const first = Math.max(
      0,
      lives.findLastIndex((life) => life.at <= from),
    );
    return lives.slice(first).some((life) => life.hosts.length === 0);
  }

  emit(qemu: Pick<Qemu, 'host' | 'vm'>, event: string, detail: string): void {
    for (const listener of this.onEvent) listener(qemu.host, qemu.vm, event, detail);
  }

  /** Ends a QEMU process; a persistent domain stays defined. */
  end(qemu: Qemu, reason: string, event: string, detail: string): void {
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
   * Where two hosts had it and one of them lost it, the other is its home. And a copy that ended before its CPUs ever ran was no
   * further than the one it was made from: where that is still there, the guest is at home there again.
   */
  #settleSplit({ vm, host, ran, origin }: Qemu): void {
    const homes = this.homesOf(vm);
    const isOrigin = !ran && origin !== null && this.isAlive(origin);
    if (isOrigin && homes.length === 1 && homes[0] === host) return this.setHomes(vm, origin.host);
    const left = homes.filter((home) => home !== host && this.qemu(home, vm)?.shell === false);
    if (homes.includes(host) && homes.length > 1 && left.length === 1) this.setHomes(vm, ...left);
  }

  run(qemu: Qemu, reason: string, detail: string): void {
    qemu.running = true;
    qemu.ran = true;
    qemu.shell = false;
    qemu.reason = reason;
    this.host(qemu.host).off.delete(qemu.vm);
    this.emit(qemu, 'Resumed', detail);
  }

  pause(qemu: Qemu, reason: string, detail: string): void {
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

  /** The power goes: its guests are gone, and nobody hears it. */
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
