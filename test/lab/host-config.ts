/** The configuration files of one host, by file name. */

export type Keepalive = {
  /** The time between two keepalive messages of libvirtd, to its clients and to the libvirtd of a destination. */
  readonly intervalSeconds: number;
  /** The number of unanswered messages after which libvirtd closes the connection. */
  readonly count: number;
};

export type HostIdentity = { readonly name: string; readonly uuid: string; readonly address: string };

export function configFiles(
  host: HostIdentity,
  keepalive: Keepalive,
  lockspace: string | undefined,
): Readonly<Record<string, string>> {
  return {
    'libvirtd.conf': libvirtdConf(host, keepalive),
    'qemu.conf': qemuConf(keepalive, lockspace !== undefined),
    'virtlockd.conf': '',
    'qemu-lockd.conf': lockspace === undefined ? '' : lockdConf(lockspace),
  };
}

const keepaliveLines = ({ intervalSeconds, count }: Keepalive) =>
  `keepalive_interval = ${intervalSeconds}\nkeepalive_count = ${count}\n`;

function libvirtdConf({ uuid, address }: HostIdentity, keepalive: Keepalive): string {
  return `host_uuid = "${uuid}"
unix_sock_dir = "/run/libvirt"
auth_unix_rw = "none"
listen_tls = 0
listen_tcp = 1
listen_addr = "${address}"
auth_tcp = "none"
log_outputs = "2:file:/var/log/libvirt/libvirtd.log"
${keepaliveLines(keepalive)}`;
}

/** Runs QEMU as root, without cgroups and virtlogd, because only these need daemons of the system. */
function qemuConf(keepalive: Keepalive, locks: boolean): string {
  return `user = "root"
group = "root"
security_driver = "none"
cgroup_controllers = []
namespaces = []
dynamic_ownership = 0
remember_owner = 0
stdio_handler = "file"
${locks ? 'lock_manager = "lockd"\n' : ''}${keepaliveLines(keepalive)}`;
}

function lockdConf(lockspace: string): string {
  return `auto_disk_leases = 1
require_lease_for_disks = 1
file_lockspace_dir = "${lockspace}"
`;
}
