import { canonical } from '../../events/cloud-event.ts';
import type { Input, InputData, InputType, Matter } from '../../events/inputs.ts';
import { sha256 } from '../../log/chain.ts';

/** Returns an input with the digest of its content. */
export function seal<T extends InputType>(
  type: T,
  vm: string | null,
  data: InputData<T>,
  source: string,
  id: string,
): Input {
  const digest = sha256(canonical([type, vm ?? '', data]));
  const matter = { type, data } as unknown as Matter;
  return { ...matter, vm, source, id, digest } as Input;
}
