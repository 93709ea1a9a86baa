import { describe, expect, it } from 'vitest';
import { callErrorOf } from '../../../consumers/recording/call-error.ts';

const kindOf = (rc: number | string | null, error: string | null) =>
  callErrorOf({ kind: 'api', t: 0, action: 'migrate', phase: 'end', rc, error }).kind;

describe('the recorded kind of a failed call', () => {
  it.each([
    "error: operation aborted: job 'migration out' canceled by client",
    'error: internal error: client socket is closed',
    "error: Failed to connect socket to '/run/libvirt/libvirt-sock': Connection refused",
    'Pseudo-terminal will not be allocated\nerror: operation failed: domain is not running',
  ])('is libvirt for the error of libvirt: %s', (text) => {
    expect(kindOf(1, text)).toBe('libvirt');
  });

  it.each([
    'error: Disconnected from qemu:///system due to end of file',
    'error: Disconnected from qemu:///system due to keepalive timeout\nerror: internal error: client socket is closed',
    'error: End of file while reading data: Input/output error',
    'error: failed to connect to the hypervisor\nerror: Cannot recv data: Connection reset by peer',
  ])('is connection for the lost connection of virsh: %s', (text) => {
    expect(kindOf(1, text)).toBe('connection');
  });

  it.each([
    [1, 'ssh: connect to host host-a port 22: Connection timed out'],
    [1, 'kex_exchange_identification: read: Operation timed out'],
    [1, 'sudo: a password is required'],
    [1, 'Traceback (most recent call last):\nTimeoutError: virsh gave no error: killed'],
    [1, ''],
    [1, null],
    [255, 'ssh: connect to host host-a port 22: Connection timed out'],
    [137, 'error: operation aborted'],
    [124, ''],
    [null, null],
  ])('is caller-lost for the exit code %j with the output %j', (rc, text) => {
    expect(kindOf(rc, text)).toBe('caller-lost');
  });

  it('is caller-timeout if the caller stopped the call, whatever it printed', () => {
    expect(kindOf('client-timeout', 'error: operation failed')).toBe('caller-timeout');
  });
});
