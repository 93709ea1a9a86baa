import type { CallError } from '../../events/inputs.ts';
import type { ApiLine } from './schema.ts';

/**
 * libvirt's messages for a broken connection between the caller and libvirtd (src/rpc/virnetclient.c, virnetsocket.c).
 * The migration continues without its caller, so these messages say nothing about its result.
 */
const CONNECTION_WORDS =
  /disconnected from .* due to|end of file while reading data|cannot (recv|read|write|send) data|client socket is closed|connection closed due to keepalive|connection reset by peer|broken pipe|failed to connect to the hypervisor|server closed connection|received hangup/i;

/** Returns the reason of a failed call: a time limit, a dead caller, a broken connection, or an error of libvirt. */
export function callErrorOf(line: ApiLine): CallError {
  const message = line.error ?? '';
  if (line.rc === 'client-timeout')
    return {
      kind: 'caller-timeout',
      message: message === '' ? 'the caller was killed by its own time limit' : message,
    };
  // libvirt's own errors have exit code 1; other codes, including 124 and 137, mean that the caller died.
  if (line.rc !== 1)
    return {
      kind: 'caller-lost',
      message: message === '' ? `the caller died (${String(line.rc ?? 'no result')})` : message,
    };
  return { kind: message.trim() === '' || CONNECTION_WORDS.test(message) ? 'connection' : 'libvirt', message };
}
