import { setTimeout as sleep } from 'node:timers/promises';
import { mustRun } from './processes.ts';

/** `control` is the connection between two libvirtd, `data` the memory and the disks of a guest that moves. */
export type Traffic = 'all' | 'control' | 'data';

/** `from` are the packets that the host sends, `to` the packets that the host receives. */
export type Direction = 'both' | 'from' | 'to';

export const LIBVIRT_PORT = 16509;

/** libvirt's default range of ports for memory streams and for the copy of disks. */
const MIGRATION_PORTS = '49152:49215';

const FREEZE_BITS_PER_SECOND = '8bit';
const QUEUE_BYTES = '64mb';

/** The name of a host's port on the bridge. */
const portOf = (host: string) => `port-${host}`;

/** The name of the chain of rules for the packets that come from a host or go to it. */
const chainOf = (side: 'from' | 'to', host: string) => `${side}-${host}`;

/**
 * The network between the hosts: a bridge in a network namespace of its own, with one port per host. Packets are dropped, slowed and
 * held here, so that the hosts see neither a lost link nor a local error.
 */
export class LabNetwork {
  readonly #pid: number;

  /** @param pid a process in the namespace of the bridge. */
  constructor(pid: number) {
    this.#pid = pid;
  }

  /** Connects the namespace of the process `hostPid` to the bridge as eth0. */
  async connect(host: string, hostPid: number, address: string): Promise<void> {
    const port = portOf(host);
    const peer = ['peer', 'name', 'eth0', 'netns', String(hostPid)];
    await this.#inside('ip', ['link', 'add', port, 'type', 'veth', ...peer]);
    await this.#inside('ip', ['link', 'set', port, 'master', 'br0', 'up']);
    for (const side of ['from', 'to'] as const) {
      const chain = chainOf(side, host);
      await this.#inside('ebtables', ['-N', chain, '-P', 'RETURN']);
      await this.#inside('ebtables', ['-A', 'FORWARD', side === 'from' ? '-i' : '-o', port, '-j', chain]);
    }
    await inNetwork(hostPid, 'ip', ['address', 'add', `${address}/24`, 'dev', 'eth0']);
    await inNetwork(hostPid, 'ip', ['link', 'set', 'eth0', 'up']);
  }

  /** Drops the traffic of a host silently: its connections stay open until an end gives up. */
  async cut(host: string, traffic: Traffic, direction: Direction): Promise<void> {
    const sides = direction === 'both' ? (['from', 'to'] as const) : [direction];
    for (const side of sides) {
      for (const match of matchesOf(traffic)) {
        await this.#inside('ebtables', ['-A', chainOf(side, host), ...match, '-j', 'DROP']);
      }
    }
  }

  /** Limits what the host receives and what the host sends. */
  async slow(host: string, hostPid: number, kilobitsPerSecond: number): Promise<void> {
    await this.#shape(host, hostPid, `${kilobitsPerSecond}kbit`);
  }

  /** Holds the packets of a host until `heal`, which delivers them. */
  async freeze(host: string, hostPid: number): Promise<void> {
    await this.#shape(host, hostPid, FREEZE_BITS_PER_SECOND);
  }

  /** Ends every cut, limit and freeze of the host. */
  async heal(host: string, hostPid: number): Promise<void> {
    for (const side of ['from', 'to'] as const) await this.#inside('ebtables', ['-F', chainOf(side, host)]);
    await this.#shape(host, hostPid, '10gbit');
    await sleep(50); // The held packets leave before their queue is deleted.
    await this.#inside('tc', ['qdisc', 'delete', 'dev', portOf(host), 'root']);
    await inNetwork(hostPid, 'tc', ['qdisc', 'delete', 'dev', 'eth0', 'root']);
  }

  async #shape(host: string, hostPid: number, rate: string): Promise<void> {
    const limits = ['root', 'tbf', 'rate', rate, 'burst', '16kb', 'limit', QUEUE_BYTES];
    await this.#inside('tc', ['qdisc', 'replace', 'dev', portOf(host), ...limits]);
    await inNetwork(hostPid, 'tc', ['qdisc', 'replace', 'dev', 'eth0', ...limits]);
  }

  #inside(command: string, args: readonly string[]): Promise<string> {
    return mustRun('nsenter', ['--target', String(this.#pid), '--net', '--mount', command, ...args]);
  }
}

function inNetwork(pid: number, command: string, args: readonly string[]): Promise<string> {
  return mustRun('nsenter', ['--target', String(pid), '--net', command, ...args]);
}

function matchesOf(traffic: Traffic): readonly (readonly string[])[] {
  switch (traffic) {
    case 'all':
      return [[]];
    case 'control':
      return matchesOfPorts(String(LIBVIRT_PORT));
    case 'data':
      return matchesOfPorts(MIGRATION_PORTS);
  }
}

function matchesOfPorts(ports: string): readonly (readonly string[])[] {
  return ['--ip-destination-port', '--ip-source-port'].map((side) => [
    '-p',
    'IPv4',
    '--ip-protocol',
    'tcp',
    side,
    ports,
  ]);
}
