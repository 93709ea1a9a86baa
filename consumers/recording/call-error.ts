import type { CallError } from '../../events/inputs.ts';
import type { ApiLine } from './schema.ts';

/**
 * libvirt's words for a broken connection between the caller and its libvirtd (src/rpc/virnetclient.c, virnetsocket.c). They
 * say nothing of the migration, which goes on without its caller.
 */
const CONNECTION_WORDS =
  /disconnected from .* due to|end of file while reading data|cannot (recv|read|write|send) data|client socket is closed|connection closed due to keepalive|connection reset by peer|broken pipe|failed to connect to the hypervisor|server closed connection|received hangup/i;

/** Why the recorded call failed: killed by its limit, died, lost its connection, or was told so by libvirt itself. */
export function callErrorOf(line: ApiLine): CallError {
  const message = line.error ?? '';
  if (line.rc === 'client-timeout')
    return {
      kind: 'caller-timeout',
      message: message === '' ? 'the caller was killed by its own time limit' : message,
    };
  // libvirt's own refusal is exit code 1 with its words; any other end, 124 and 137 among them, is the caller's.
  if (line.rc !== 1)
    return {
      kind: 'caller-lost',
      message: message === '' ? `the caller died (${String(line.rc ?? 'no result')})` : message,
    };
  return { kind: message.trim() === '' || CONNECTION_WORDS.test(message) ? 'connection' : 'libvirt', message };
}
