import { canonical } from '../../events/cloud-event.ts';
import type { Input, InputData, InputType, Matter } from '../../events/inputs.ts';
import { sha256 } from '../../log/chain.ts';

/**
 * Returns an input with the digest of its content.
 * @param recorded the data as recorded, if the recording uses the texts of virsh. The digest covers these data, so the digests
 * of a recording stay equal when a later version maps the texts differently.
 */
export function seal<T extends InputType>(
  type: T,
  vm: string | null,
  data: InputData<T>,
  source: string,
  id: string,
  recorded: unknown = data,
): Input {
  const digest = sha256(canonical([type, vm ?? '', recorded]));
  const matter = { type, data } as unknown as Matter;
  return { ...matter, vm, source, id, digest } as Input;
}
