import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Guest } from './guest.ts';
import type { LabHost } from './host.ts';
import { statOf } from './processes.ts';

/** The CPUs of a QEMU process. `frozen`: the process itself is stopped by a signal. `unknown`: QEMU does not answer. */
type Cpus = 'running' | 'stopped' | 'frozen' | 'unknown';

type QemuTruth = { readonly pid: number; readonly cpus: Cpus; readonly status: string | undefined };

/** The facts about a guest, without libvirt: from /proc, QEMU's own answers, and the kernel's table of locks. */
export type Truth = {
  /** The hosts with a QEMU process for the guest. */
  readonly processOn: readonly string[];
  /** The hosts on which the guest's CPUs run. */
  readonly runsOn: readonly string[];
  /** The hosts that hold the lease of the first disk. A holder outside of the hosts is named `other`. */
  readonly leaseOn: readonly string[];
  readonly qemu: Readonly<Record<string, QemuTruth>>;
  /** The holders of the lease of each disk, by file name. */
  readonly leases: Readonly<Record<string, readonly string[]>>;
};

export async function truthOf(guest: Guest, hosts: readonly LabHost[], lockspace: string): Promise<Truth> {
  const found = await Promise.all(hosts.map(async (host) => [host.name, await qemuTruth(guest, host)] as const));
  const processes = found.flatMap(([name, truth]) => (truth === undefined ? [] : [[name, truth] as const]));
  const leases = guest.disks.map((disk) => [basename(disk), leaseHolders(disk, hosts, lockspace)] as const);
  return {
    processOn: processes.map(([name]) => name),
    runsOn: processes.filter(([, { cpus }]) => cpus === 'running').map(([name]) => name),
    leaseOn: leases[0]?.[1] ?? [],
    qemu: Object.fromEntries(processes),
    leases: Object.fromEntries(leases),
  };
}

async function qemuTruth(guest: Guest, host: LabHost): Promise<QemuTruth | undefined> {
  const pid = host.qemuPid(guest);
  if (pid === undefined) return undefined;
  if (statOf(pid)?.state === 'T') return { pid, cpus: 'frozen', status: undefined };
  const answer = await host.askQemu(guest, 'query-status');
  // A process that ended during the question is absent. A new process of the same guest is left to the next question.
  if (answer === undefined && host.qemuPid(guest) !== pid) return undefined;
  const status = typeof answer?.['status'] === 'string' ? answer['status'] : undefined;
  const cpus = answer === undefined ? 'unknown' : answer['running'] === true ? 'running' : 'stopped';
  return { pid, cpus, status };
}

/** virtlockd names a lease by the SHA-256 of the disk's path, and locks that file. */
function leaseHolders(disk: string, hosts: readonly LabHost[], lockspace: string): string[] {
  const inode = inodeOf(join(lockspace, createHash('sha256').update(disk).digest('hex')));
  if (inode === undefined) return [];
  const holders = kernelLocks()
    .filter((lock) => lock.inode === inode)
    .map(({ pid }) => hosts.find((host) => host.owns(pid))?.name ?? 'other');
  return [...new Set(holders)].toSorted();
}

function inodeOf(path: string): number | undefined {
  try {
    return statSync(path).ino;
  } catch {
    return undefined;
  }
}

/** Reads the locks that are held. Lines with "->" are processes that wait for a lock. */
function kernelLocks(): { readonly pid: number; readonly inode: number }[] {
  return readFileSync('/proc/locks', 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.includes('->'))
    .map((line) => line.trim().split(/\s+/))
    .map((fields) => ({ pid: Number(fields[4]), inode: Number(fields[5]?.split(':')[2]) }));
}
