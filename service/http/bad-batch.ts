import { Fault } from '../../events/fault.ts';

export type BadMember = { index: number; id: string | null; code: string; message: string };

/** A refused batch. `errors` lists every malformed event with its index. */
export class BadBatch extends Fault {
  readonly errors: readonly BadMember[];

  constructor(errors: readonly BadMember[], size: number) {
    const [first] = errors;
    const message = `${errors.length} of ${size} events are malformed; [${first?.index}] ${first?.message}`;
    super(
      'BAD_BATCH',
      message,
      'No event of the batch was accepted: correct or remove the events that `errors` lists, then send the batch again.',
    );
    this.errors = errors;
  }
}
