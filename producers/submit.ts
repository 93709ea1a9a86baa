import { toInput } from '../events/cloud-event.ts';
import { Fault } from '../events/fault.ts';
import type { Input, InputData, InputType } from '../events/inputs.ts';
import { WALL } from '../events/vocabulary.ts';
import { sha256 } from '../log/chain.ts';

/** Puts inputs of Landfall's own (an operator's word, a change of the configuration) into a partition. */

/** What takes inputs and makes them durable: a driver. */
export interface Sink {
  take(input: Input, now: number, clock: string): { refusal: { code: string; message: string; remedy: string } | null };
  flush(): Promise<unknown>;
}

export type Submission<T extends InputType> = {
  type: T;
  vm: string | null;
  data: InputData<T>;
  id: string;
  source: string;
};

/**
 * Submits one input and returns once it is durable.
 * @param at the wall clock in milliseconds, and the clock the input belongs to: on a recording's clock it is as late as the
 * recording's last entry.
 * @throws Fault with the refusal's code where it was not followed; the refusal is in the ledger as well.
 */
export async function submit<T extends InputType>(
  sink: Sink,
  submission: Submission<T>,
  at: { now: number; clock: string },
): Promise<void> {
  const { type, vm, data, id, source } = submission;
  const event = {
    specversion: '1.0',
    id,
    source,
    type,
    ...(vm === null ? {} : { subject: vm }),
    time: new Date(at.now).toISOString(),
    data,
  };
  const { refusal } = sink.take(toInput(event, sha256), at.clock === WALL ? at.now : 0, at.clock);
  await sink.flush();
  if (refusal !== null) throw new Fault(refusal.code, refusal.message, refusal.remedy);
}
