import { accessSync, constants, realpathSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { LabError } from './errors.ts';
import { run } from './processes.ts';

/** The commands that the lab runs, and the Debian package of each. */
const COMMANDS: Readonly<Record<string, string>> = {
  libvirtd: 'libvirt-daemon-system',
  virtlockd: 'libvirt-daemon-system',
  virsh: 'libvirt-clients',
  'qemu-system-x86_64': 'qemu-system-x86',
  'qemu-img': 'qemu-utils',
  ip: 'iproute2',
  tc: 'iproute2',
  ebtables: 'iptables',
  unshare: 'util-linux',
  nsenter: 'util-linux',
  mount: 'mount',
};

/** The kernel features that the lab uses, the namespaces first. Each script runs in new namespaces and must exit with 0. */
const KERNEL_PROBES: readonly { readonly feature: string; readonly script: string }[] = [
  { feature: 'network, mount and UTS namespaces', script: 'true' },
  { feature: 'bind mounts and tmpfs in a mount namespace', script: 'mount -t tmpfs tmpfs /run' },
  { feature: 'a host name in a UTS namespace', script: 'hostname lab-probe' },
  { feature: 'network bridges (CONFIG_BRIDGE)', script: 'ip link add br0 type bridge' },
  { feature: 'veth pairs (CONFIG_VETH)', script: 'ip link add left type veth peer name right' },
  {
    feature: 'packet filters on a bridge (CONFIG_NF_TABLES_BRIDGE, CONFIG_NFT_COMPAT)',
    script: 'mount -t tmpfs tmpfs /run; ebtables -A FORWARD -p IPv4 --ip-protocol tcp --ip-destination-port 1 -j DROP',
  },
  {
    feature: 'the token bucket filter (CONFIG_NET_SCH_TBF)',
    script: 'ip link add left type veth peer name right; tc qdisc add dev left root tbf rate 1mbit burst 2kb limit 2kb',
  },
];

/** Describes each missing requirement in one line. The list is empty if the lab can start. Commands are looked up in `searchPath`. */
export async function missingRequirements(searchPath = process.env['PATH'] ?? ''): Promise<string[]> {
  const root = process.geteuid?.() === 0;
  const missing = [
    ...platform(),
    ...packages(searchPath),
    ...(root ? [] : ['The user root: namespaces and mounts need it.']),
  ];
  return root && missing.length === 0 ? await kernelFeatures() : missing;
}

/** @throws LabError that lists every missing requirement. */
export async function requireLab(): Promise<void> {
  const missing = await missingRequirements();
  if (missing.length === 0) return;
  throw new LabError(
    'LAB_REQUIREMENTS',
    `The lab cannot start on this machine. Missing:\n- ${missing.join('\n- ')}\n`,
    '',
  );
}

function platform(): string[] {
  if (process.platform !== 'linux') return ['Linux: the lab uses namespaces of the Linux kernel.'];
  // Each host mounts a file system over /run, which would hide a lab folder below /run.
  if (/^\/run(?:\/|$)/.test(realpathSync(tmpdir()))) return ['A temporary folder outside of /run: set TMPDIR.'];
  return [];
}

function packages(searchPath: string): string[] {
  const absent = Object.entries(COMMANDS).filter(([command]) => !isInstalled(command, searchPath));
  if (absent.length === 0) return [];
  const names = [...new Set(absent.map(([, name]) => name))];
  const commands = absent.map(([command]) => command).join(', ');
  const install = `apt-get install --no-install-recommends ${names.join(' ')}`;
  return [`The commands ${commands}. Run: ${install}. If they are installed, add /usr/sbin and /sbin to PATH.`];
}

function isInstalled(command: string, searchPath: string): boolean {
  return searchPath.split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

async function kernelFeatures(): Promise<string[]> {
  const missing: string[] = [];
  for (const { feature, script } of KERNEL_PROBES) {
    const args = ['--net', '--mount', '--uts', '--propagation', 'private', 'sh', '-ec', script];
    const { code, err } = await run('unshare', args, 10_000);
    if (code === 0) continue;
    missing.push(`A kernel (or container) that permits ${feature}: ${err.trim()}`);
    if (err.startsWith('unshare:')) break; // Without namespaces no other probe can run.
  }
  return missing;
}
