import type { Domain } from '../../events/inputs.ts';
import type { DomainJob } from '../../events/libvirt.ts';
import { domainOfVirsh, type VirshDomain } from '../../events/virsh.ts';

/**
 * Converts the state texts of a simulated host to libvirt's vocabulary, as an agent does. The job is already a word of the
 * vocabulary. @throws RangeError for a text outside the vocabulary.
 */
export function domainIn(raw: Omit<VirshDomain, 'job'>, job: DomainJob): Domain {
  const mapped = domainOfVirsh({ ...raw, job: 'none' });
  if (!('domain' in mapped)) throw new RangeError(`libvirt has no state ${mapped.unknownWords}`);
  return { ...mapped.domain, job };
}
