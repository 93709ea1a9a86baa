import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { READY } from './boot-sector.ts';
import { Daemon } from './daemon.ts';
import { LabError } from './errors.ts';
import type { LabFolder } from './folder.ts';
import type { Guest } from './guest.ts';
import { configFiles, type HostIdentity, type Keepalive } from './host-config.ts';
import { type Direction, type LabNetwork, LIBVIRT_PORT, type Traffic } from './network.ts';
import {
  allPids,
  type Finished,
  mountNamespaceOf,
  mustRun,
  procFile,
  run,
  signalProcess,
  statOf,
  waitFor,
} from './processes.ts';
import { startNamespace } from './namespace.ts';
import { askQmp } from './qmp.ts';

export type HostPlan = {
  readonly identity: HostIdentity;
  readonly folder: LabFolder;
  readonly network: LabNetwork;
  readonly keepalive: Keepalive;
  /** The shared folder of leases; undefined for a host without virtlockd. */
  readonly lockspace: string | undefined;
  /** The content of /etc/hosts, which is the same on every host. */
  readonly hostsFile: string;
  /** The folder that each host sees with content of its own. */
  readonly local: string;
};

/** One host: network, mount and UTS namespaces, a libvirtd, a virtlockd, and the guests. */
export class LabHost {
  readonly name: string;
  readonly address: string;
  /** The real folder of the host, with run/, log/ and local/. */
  readonly path: string;
  /** The socket of libvirtd, reachable from outside of the namespaces. */
  readonly socket: string;
  /** The URI for clients outside of the namespaces. */
  readonly uri: string;
  /** The URI that the other hosts use, for example as the destination of a peer-to-peer migration. */
  readonly peerUri: string;
  readonly libvirtd: Daemon;
  readonly virtlockd: Daemon | undefined;
  readonly #network: LabNetwork;
  readonly #pid: number;
  readonly #mountNamespace: string;

  private constructor(plan: HostPlan, path: string, pid: number, mountNamespace: string) {
    this.name = plan.identity.name;
    this.address = plan.identity.address;
    this.path = path;
    this.socket = join(path, 'run/libvirt-sock');
    this.uri = `qemu+unix:///system?socket=${this.socket}`;
    this.peerUri = `qemu+tcp://${this.address}:${LIBVIRT_PORT}/system`;
    this.#network = plan.network;
    this.#pid = pid;
    this.#mountNamespace = mountNamespace;
    this.libvirtd = this.#daemon(plan.folder, 'libvirtd', ['--listen', '--pid-file', '/run/libvirt/libvirtd.pid']);
    const virtlockd = ['--pid-file', '/run/libvirt/virtlockd.pid'];
    this.virtlockd = plan.lockspace === undefined ? undefined : this.#daemon(plan.folder, 'virtlockd', virtlockd);
  }

  static async start(plan: HostPlan): Promise<LabHost> {
    const { identity, folder } = plan;
    const path = join(folder.path, identity.name);
    for (const each of ['run/lab', 'lib/qemu', 'cache', 'log/guests', 'etc', 'local']) {
      mkdirSync(join(path, each), { recursive: true });
    }
    const files = configFiles(identity, plan.keepalive, plan.lockspace);
    for (const [name, text] of Object.entries(files)) writeFileSync(join(path, 'etc', name), text);
    const { pid, mountNamespace } = await startNamespace(folder, identity.name, setupScript(plan, path));
    await plan.network.connect(identity.name, pid, identity.address);
    const host = new LabHost(plan, path, pid, mountNamespace);
    await host.virtlockd?.start();
    await host.libvirtd.start();
    return host;
  }

  /** Runs a virsh command against this host, from outside of the namespaces. @throws LabError if it fails. */
  virsh(...args: string[]): Promise<string> {
    return mustRun('virsh', ['--quiet', '--connect', this.uri, ...args]);
  }

  /** Runs a virsh command to its end and resolves for every exit code. */
  tryVirsh(...args: string[]): Promise<Finished> {
    return run('virsh', ['--quiet', '--connect', this.uri, ...args]);
  }

  /** Ends libvirtd with SIGKILL. The guests of the host keep running. */
  killLibvirtd(): Promise<void> {
    return this.libvirtd.kill('SIGKILL');
  }

  freezeLibvirtd(): void {
    this.libvirtd.freeze();
  }

  thawLibvirtd(): void {
    this.libvirtd.thaw();
  }

  /** Stops libvirtd if it runs, and starts it. */
  async restartLibvirtd(): Promise<void> {
    await this.libvirtd.kill('SIGTERM');
    await this.libvirtd.start();
  }

  /** Drops the traffic between this host and the other hosts silently, until `heal`. */
  cut(traffic: Traffic = 'all', direction: Direction = 'both'): Promise<void> {
    return this.#network.cut(this.name, traffic, direction);
  }

  /** Limits the bandwidth of the host in both directions, until `heal`. */
  slowNetwork(kilobitsPerSecond: number): Promise<void> {
    return this.#network.slow(this.name, this.#pid, kilobitsPerSecond);
  }

  /** Holds the packets of the host in both directions, until `heal` delivers them. */
  freezeNetwork(): Promise<void> {
    return this.#network.freeze(this.name, this.#pid);
  }

  /** Ends every cut, limit and freeze of the host. */
  heal(): Promise<void> {
    return this.#network.heal(this.name, this.#pid);
  }

  async defineGuest(guest: Guest): Promise<void> {
    await this.virsh('define', guest.xmlFile);
  }

  /** Starts a defined guest, or a transient one if the guest is not defined. Resolves when the guest has filled its memory. */
  async startGuest(guest: Guest): Promise<void> {
    const defined = (await this.tryVirsh('domstate', guest.uuid)).code === 0;
    await (defined ? this.virsh('start', guest.uuid) : this.virsh('create', guest.xmlFile));
    await waitFor(`${guest.name} on ${this.name} fills its memory`, () => this.serialOf(guest).includes(READY));
  }

  /** Returns the characters that the guest wrote on this host: `R` when its memory was filled, then one `.` per second. */
  serialOf(guest: Guest): string {
    try {
      return readFileSync(join(this.path, 'log/guests', `${guest.name}.serial`), 'latin1');
    } catch {
      return '';
    }
  }

  /** Returns the pid of the QEMU process that has the guest on this host. */
  qemuPid(guest: Guest): number | undefined {
    return allPids().find((pid) => {
      if (mountNamespaceOf(pid) !== this.#mountNamespace) return false;
      const words = procFile(pid, 'cmdline')?.split('\0') ?? [];
      return words[words.indexOf('-uuid') + 1] === guest.uuid && statOf(pid)?.state !== 'Z';
    });
  }

  /** Sends a signal to the guest's QEMU. Resolves when the process has ended, if the signal is SIGKILL. */
  async killQemu(guest: Guest, signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT' = 'SIGKILL'): Promise<void> {
    const pid = this.qemuPid(guest);
    if (pid === undefined || !signalProcess(pid, signal)) {
      throw new LabError(
        'LAB_NO_QEMU',
        `${this.name} has no QEMU process for ${guest.name}.`,
        'Start the guest first.',
      );
    }
    if (signal === 'SIGKILL') await waitFor('QEMU ends', () => this.qemuPid(guest) !== pid);
  }

  /** Asks the guest's QEMU directly, not through libvirt. */
  askQemu(guest: Guest, command: string): Promise<Record<string, unknown> | undefined> {
    return askQmp(join(this.path, 'run/lab', `${guest.name}.qmp`), command);
  }

  /** Returns true if the process is inside of this host's namespaces. */
  owns(pid: number): boolean {
    return mountNamespaceOf(pid) === this.#mountNamespace;
  }

  #daemon(folder: LabFolder, command: 'libvirtd' | 'virtlockd', args: readonly string[]): Daemon {
    const enter = ['--target', String(this.#pid), '--net', '--mount', '--uts', command];
    const config = ['--config', `/etc/libvirt/${command}.conf`];
    return new Daemon({
      name: `${command} of ${this.name}`,
      command: 'nsenter',
      args: [...enter, ...config, ...args],
      outputFile: join(this.path, 'log', `${command}.out`),
      socket: join(this.path, 'run', command === 'libvirtd' ? 'libvirt-sock' : 'virtlockd-sock'),
      started: (what, pid) => folder.record(what, pid),
    });
  }
}

/**
 * Gives the host folders of its own in the places that libvirt uses. /run is empty, so that libvirtd finds no D-Bus, systemd or
 * other daemon of the machine.
 */
function setupScript({ identity, hostsFile, local }: HostPlan, path: string): string {
  const bind = (from: string, to: string) => `mkdir -p ${to}; mount --bind ${path}/${from} ${to}`;
  return [
    `hostname ${identity.name}`,
    'ip link set lo up',
    'mount -t tmpfs tmpfs /run',
    'mkdir -p /run/lock',
    bind('run', '/run/libvirt'),
    bind('lib', '/var/lib/libvirt'),
    bind('cache', '/var/cache/libvirt'),
    bind('log', '/var/log/libvirt'),
    bind('etc', '/etc/libvirt'),
    bind('local', local),
    `mount --bind ${hostsFile} /etc/hosts`,
  ].join('\n');
}
