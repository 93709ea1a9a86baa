import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LabError } from './errors.ts';
import { cleanLeftovers, LabFolder } from './folder.ts';
import { createGuest, type Guest, type GuestPlan } from './guest.ts';
import { LabHost } from './host.ts';
import type { HostIdentity, Keepalive } from './host-config.ts';
import { type Migration, type MigrationOptions, startMigration } from './migration.ts';
import { startNamespace } from './namespace.ts';
import { LabNetwork } from './network.ts';
import { waitFor } from './processes.ts';
import { requireLab } from './requirements.ts';
import { type Truth, truthOf } from './truth.ts';

export type LabOptions = {
  readonly hosts?: 2 | 3;
  /** Without virtlockd no disk has a lease. */
  readonly virtlockd?: boolean;
  /** The default finds a dead peer after about 4 seconds. libvirt's own default is 5 seconds and 5 messages. */
  readonly keepalive?: Keepalive;
};

/** Two or three libvirt hosts on this machine, in namespaces of their own. See docs/lab.md. */
export class Lab {
  readonly hosts: readonly LabHost[];
  readonly #folder: LabFolder;
  readonly #migrations: Migration[] = [];
  #guests = 0;

  constructor(folder: LabFolder, hosts: readonly LabHost[]) {
    this.#folder = folder;
    this.hosts = hosts;
  }

  get path(): string {
    return this.#folder.path;
  }

  host(name: string): LabHost {
    const found = this.hosts.find((host) => host.name === name);
    if (found !== undefined) return found;
    const known = this.hosts.map((host) => host.name).join(', ');
    throw new LabError('LAB_UNKNOWN_HOST', `The lab has no host ${name}.`, `Its hosts are ${known}.`);
  }

  /** Creates the disks and the domain XML of a guest. Give the guest to `defineGuest` or `startGuest` of a host. */
  guest(plan: GuestPlan = {}): Guest {
    this.#guests += 1;
    return createGuest(plan, this.#guests, {
      lab: this.path,
      shared: sharedFolder(this.path),
      local: localFolder(this.path),
      localOf: this.hosts.map(({ path }) => join(path, 'local')),
    });
  }

  /** Starts `virsh migrate` in a process of its own and returns at once. */
  migrate(guest: Guest, from: string, to: string, options: MigrationOptions = {}): Migration {
    const migration = startMigration(guest, this.host(from), this.host(to), options);
    this.#migrations.push(migration);
    this.#folder.record(`virsh migrate ${guest.name}`, migration.pid);
    return migration;
  }

  /** Resolves when QEMU on the source has sent this much memory of the guest and still sends. */
  async untilTransferred(guest: Guest, from: string, bytes = 1024 * 1024): Promise<void> {
    await waitFor(`${guest.name} on ${from} transfers its memory`, async () => {
      const answer = await this.host(from).askQemu(guest, 'query-migrate');
      const ram = answer?.['ram'] as { readonly transferred: number } | undefined;
      return answer?.['status'] === 'active' && ram !== undefined && ram.transferred >= bytes;
    });
  }

  truth(guest: Guest): Promise<Truth> {
    return truthOf(guest, this.hosts, lockspaceFolder(this.path));
  }

  /** Kills every process of the lab and removes its folder. */
  async stop(): Promise<void> {
    await this.#folder.remove();
    await Promise.all(this.#migrations.map(({ ended }) => ended));
  }
}

const sharedFolder = (lab: string) => join(lab, 'shared');
const localFolder = (lab: string) => join(lab, 'local');
const lockspaceFolder = (lab: string) => join(lab, 'lockspace');

/**
 * Removes what earlier, killed runs left, and starts the hosts host-a, host-b (and host-c).
 * @throws LabError that lists the requirements this machine does not meet.
 */
export async function startLab(options: LabOptions = {}): Promise<Lab> {
  await requireLab();
  await cleanLeftovers();
  const folder = new LabFolder();
  try {
    return new Lab(folder, await startHosts(folder, options));
  } catch (error) {
    await folder.remove();
    throw error;
  }
}

async function startHosts(folder: LabFolder, options: LabOptions): Promise<LabHost[]> {
  const { hosts = 2, virtlockd = true, keepalive = { intervalSeconds: 1, count: 3 } } = options;
  const identities = ['a', 'b', 'c'].slice(0, hosts).map(identityOf);
  for (const make of [sharedFolder, localFolder, lockspaceFolder]) mkdirSync(make(folder.path));
  const hostsFile = join(folder.path, 'hosts');
  const lines = identities.map(({ name, address }) => `${address} ${name}\n`);
  writeFileSync(hostsFile, `127.0.0.1 localhost\n${lines.join('')}`);
  const network = await startNetwork(folder);
  const lockspace = virtlockd ? lockspaceFolder(folder.path) : undefined;
  const local = localFolder(folder.path);
  return await Promise.all(
    identities.map((identity) => LabHost.start({ identity, folder, network, keepalive, lockspace, hostsFile, local })),
  );
}

async function startNetwork(folder: LabFolder): Promise<LabNetwork> {
  const path = join(folder.path, 'network');
  mkdirSync(path);
  // The bind mount marks the namespace as a part of this lab. ebtables writes its lock file to /run.
  const script = [
    `mount --bind ${path} ${path}`,
    'mount -t tmpfs tmpfs /run',
    'ip link add br0 type bridge',
    'ip link set br0 up',
  ];
  const { pid } = await startNamespace(folder, 'the bridge', script.join('\n'));
  return new LabNetwork(pid);
}

function identityOf(letter: string, index: number): HostIdentity {
  const number = String(index + 1);
  // libvirt refuses a host UUID that repeats one digit.
  const uuid = `${number.repeat(8)}-0000-4000-8000-${number.repeat(12)}`;
  return { name: `host-${letter}`, uuid, address: `10.77.0.${number}` };
}
