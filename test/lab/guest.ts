import { randomBytes } from 'node:crypto';
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bootSector, type GuestProgram } from './boot-sector.ts';

export type GuestPlan = Partial<GuestProgram> & {
  readonly name?: string;
  readonly memoryMiB?: number;
  /** The number of disks; the first one contains the boot sector. */
  readonly disks?: number;
  readonly diskMiB?: number;
  /** A shared disk is one file for all hosts. A local disk has the same path on each host, but content of its own. */
  readonly storage?: 'shared' | 'local';
};

export type Guest = {
  readonly name: string;
  readonly uuid: string;
  /** The paths of the disks as the hosts know them. */
  readonly disks: readonly string[];
  readonly storage: 'shared' | 'local';
  readonly xmlFile: string;
};

/** The folders that a guest needs, as seen by its hosts. */
export type GuestFolders = {
  readonly lab: string;
  readonly shared: string;
  readonly local: string;
  /** The real folders that the hosts see as `local`. */
  readonly localOf: readonly string[];
};

/** Paths inside a host. Their folders are bind mounts, so that they are reachable from outside too. */
const SERIAL_FOLDER = '/var/log/libvirt/guests';
const QMP_FOLDER = '/run/libvirt/lab';

/** Creates the disks and the domain XML of a guest. */
export function createGuest(plan: GuestPlan, number: number, folders: GuestFolders): Guest {
  const name = plan.name ?? `vm${number}`;
  const uuid = `aaaaaaaa-0000-4000-8000-${String(number).padStart(12, '0')}`;
  const storage = plan.storage ?? 'shared';
  const files = Array.from({ length: plan.disks ?? 1 }, (_, index) => `${name}-${index}.img`);
  const disks = files.map((file) => join(storage === 'shared' ? folders.shared : folders.local, file));
  const sector = bootSector({ fillMiB: 8, hotKiB: 64, ...plan });
  const bytes = (plan.diskMiB ?? 4) * 1024 * 1024;
  files.forEach((file, index) => {
    const content = randomBytes(bytes);
    if (index === 0) sector.copy(content);
    writeDisks(file, content, storage, folders);
  });
  const xmlFile = join(folders.lab, `${name}.xml`);
  writeFileSync(xmlFile, domainXml(name, uuid, plan.memoryMiB ?? 32, disks));
  return { name, uuid, disks, storage, xmlFile };
}

/** A local disk has its content on the first host only. The other hosts get an empty file of the same size, which libvirt requires. */
function writeDisks(file: string, content: Buffer, storage: Guest['storage'], folders: GuestFolders): void {
  const [first = folders.shared, ...others] = storage === 'shared' ? [folders.shared] : folders.localOf;
  writeFileSync(join(first, file), content);
  for (const other of others) {
    writeFileSync(join(other, file), '');
    truncateSync(join(other, file), content.length);
  }
}

/**
 * The second QMP socket answers while libvirtd is dead or frozen. The serial port is a file on each host, in which the guest leaves
 * one character per second.
 */
function domainXml(name: string, uuid: string, memoryMiB: number, disks: readonly string[]): string {
  const diskXml = disks.map(
    (path, index) => `<disk type='file' device='disk'><driver name='qemu' type='raw' cache='writethrough'/>
<source file='${path}'/><target dev='vd${String.fromCharCode(97 + index)}' bus='virtio'/></disk>`,
  );
  return `<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
<name>${name}</name><uuid>${uuid}</uuid><memory unit='MiB'>${memoryMiB}</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='pc'>hvm</type><boot dev='hd'/></os><features><acpi/></features>
<cpu mode='custom' match='exact'><model>qemu64</model></cpu>
<devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
${diskXml.join('\n')}
<serial type='file'><source path='${SERIAL_FOLDER}/${name}.serial' append='on'/></serial>
<memballoon model='none'/></devices>
<qemu:commandline><qemu:arg value='-qmp'/><qemu:arg value='unix:${QMP_FOLDER}/${name}.qmp,server=on,wait=off'/></qemu:commandline>
</domain>
`;
}
