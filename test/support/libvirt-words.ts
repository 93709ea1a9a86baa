import type { Domain } from '../../events/inputs.ts';
import { domainOfVirsh, type VirshDomain } from '../../events/virsh.ts';

/**
 * Convert texts of simulated hosts to libvirt's vocabulary, as an agent does. @throws RangeError for a text outside the
 * vocabulary.
 */

export function domainIn(raw: VirshDomain): Domain {
  const mapped = domainOfVirsh(raw);
  if (!('domain' in mapped)) throw new RangeError(`libvirt has no state ${mapped.unknownWords}`);
  return mapped.domain;
}
