import type { CallError } from '../../events/inputs.ts';
import type { ApiLine } from './schema.ts';

/** virsh prints each error of libvirt on a separate line that begins with this text (tools/vsh.c, `vshReportError`). */
const LIBVIRT_ERROR = /^error: \S/m;

/**
 * Errors that virsh prints when it loses its own connection to libvirtd (tools/virsh.c, src/rpc/virnetclient.c, virnetsocket.c).
 * The migration continues without its caller, so these errors say nothing about its result. "client socket is closed" is not
 * among them: libvirtd returns it when it loses its connection to the destination, and its call is then over.
 */
const LOST_CONNECTION =
  /disconnected from|end of file while reading data|cannot (recv|read|write|send) data|connection closed due to keepalive|connection reset by peer|broken pipe|failed to connect to the hypervisor|server closed connection|received hangup/i;

/**
 * Returns the reason of a failed call: a time limit, a dead caller, a broken connection, or an error of libvirt. Only libvirt's
 * own words count as its error: a wrapper such as ssh or sudo may end with any exit code while the migration continues.
 */
export function callErrorOf({ rc, error }: ApiLine): CallError {
  const message = error ?? '';
  if (rc === 'client-timeout')
    return { kind: 'caller-timeout', message: message || 'the caller was killed by its own time limit' };
  // virsh exits with 1 after an error of libvirt. Codes such as 124, 137 and 255 are those of timeout, a signal and ssh.
  if (rc === 1 && LOST_CONNECTION.test(message)) return { kind: 'connection', message };
  if (rc === 1 && LIBVIRT_ERROR.test(message)) return { kind: 'libvirt', message };
  return { kind: 'caller-lost', message: message || `the caller died (${String(rc ?? 'no result')})` };
}
