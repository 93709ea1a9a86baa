import type { Domain } from '../../events/inputs.ts';
import { detailsOf, eventWords, type LifecycleDetail, type LifecycleEvent } from '../../events/libvirt.ts';
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

export function lifecycleIn(name: string, text: string): { event: LifecycleEvent; detail: LifecycleDetail } {
  const event = eventWords.find((word) => word === name);
  const detail = event === undefined ? undefined : detailsOf(event).find((word) => word === text);
  if (event === undefined || detail === undefined) throw new RangeError(`libvirt has no event ${name} ${text}`);
  return { event, detail };
}
