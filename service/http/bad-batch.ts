import { Fault } from '../../events/fault.ts';

export type BadMember = { index: number; id: string | null; code: string; message: string };

/** Names the bad members of a batch. */
export class BadBatch extends Fault {
  readonly errors: readonly BadMember[];

  constructor(errors: readonly BadMember[], size: number) {
    const [first] = errors;
    const message = `${errors.length} of ${size} events are malformed; [${first?.index}] ${first?.message}`;
    super('BAD_BATCH', message, 'Nothing of the batch was taken: mend or leave out those that `errors` names.');
    this.errors = errors;
  }
}
