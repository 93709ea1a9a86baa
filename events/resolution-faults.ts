import { Fault } from './fault.ts';

/** The refusal of a resolution whose host does not have the guest. @param lack the host's answer. */
export function hostLacksGuest(host: string, lack: string): Fault {
  return new Fault(
    'HOST_LACKS_GUEST',
    `${host} does not have the guest (${lack})`,
    'Name the host that has the guest. If the guest is stopped everywhere, resolve with --stopped, which destroys nothing.',
  );
}
