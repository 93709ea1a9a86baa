import type { Guest } from './guest.ts';
import type { LabHost } from './host.ts';
import { type Finished, signalProcess, start } from './processes.ts';

export type MigrationOptions = {
  /** Peer-to-peer (the default): the source's libvirtd drives the migration. Otherwise virsh drives it and must live to its end. */
  readonly peerToPeer?: boolean;
  readonly bandwidthMiB?: number;
  readonly postCopy?: boolean;
  readonly copyStorage?: boolean;
  readonly tunnelled?: boolean;
  /** Defines the guest on the destination and removes its definition from the source. */
  readonly moveDefinition?: boolean;
  /** Further options of `virsh migrate`. */
  readonly extra?: readonly string[];
};

/** A call of `virsh migrate` in a process of its own. */
export type Migration = {
  readonly pid: number | undefined;
  /** Resolves with the end of the call, whatever it is. The migration itself may end later. */
  readonly ended: Promise<Finished>;
  /** Kills the caller. */
  kill(): void;
};

export function startMigration(guest: Guest, from: LabHost, to: LabHost, options: MigrationOptions): Migration {
  const { child, ended } = start('virsh', ['--connect', from.uri, ...migrateWords(guest, to, options)]);
  return {
    pid: child.pid,
    ended,
    kill: () => {
      if (child.pid !== undefined) signalProcess(child.pid, 'SIGKILL');
    },
  };
}

/** `--unsafe` because libvirt does not know that all hosts share the folder of the disks. */
function migrateWords(guest: Guest, to: LabHost, options: MigrationOptions): string[] {
  const { peerToPeer = true, bandwidthMiB, postCopy, copyStorage, tunnelled, moveDefinition, extra = [] } = options;
  const words = ['migrate', '--live', '--unsafe', guest.uuid, peerToPeer ? to.peerUri : to.uri];
  if (peerToPeer) words.push('--p2p');
  if (tunnelled === true) words.push('--tunnelled');
  else words.push('--migrateuri', `tcp://${to.address}`);
  if (bandwidthMiB !== undefined) words.push('--bandwidth', String(bandwidthMiB));
  if (postCopy === true) words.push('--postcopy');
  if (copyStorage === true) words.push('--copy-storage-all');
  if (moveDefinition === true) words.push('--persistent', '--undefinesource');
  return [...words, ...extra];
}
