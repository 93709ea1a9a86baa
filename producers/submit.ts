import { toInput } from '../events/cloud-event.ts';
import { Fault } from '../events/fault.ts';
import type { Input, InputData, InputType } from '../events/inputs.ts';
import { WALL } from '../events/vocabulary.ts';
import { sha256 } from '../log/chain.ts';

/** Submits inputs that Landfall creates itself, such as an operator's resolution or a configuration change. */

/** Accepts inputs and makes them durable. The driver of a partition is one. */
export interface Sink {
  take(input: Input, now: number, clock: string): { refusal: { code: string; message: string; remedy: string } | null };
  flush(): Promise<unknown>;
}

export type OwnInput<T extends InputType> = {
  type: T;
  vm: string | null;
  data: InputData<T>;
  id: string;
  source: string;
};

/**
 * Submits one input, and resolves when it is durable.
 * @param at `now` is the wall clock in milliseconds; `clock` names the world the input belongs to. An input of a recorded world
 * gets the time of that world's last entry.
 * @throws Fault with the refusal's code when the input was refused. The refusal is stored in the ledger too.
 */
export async function submit<T extends InputType>(
  sink: Sink,
  submission: OwnInput<T>,
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
