import { Fault } from '../../events/fault.ts';

/**
 * The ledger says how far the inputs of a partition were taken; the topic says which it holds. The two must fit: offsets of a
 * topic that was restored or made anew mean other inputs, and what was deleted before it was taken would be missed by nobody.
 */

/** What the topic holds of a partition: `low` is the offset of its first record, `high` the one after its last. */
export type OffsetRange = { readonly low: number; readonly high: number };

/** @throws Fault INPUTS_ALTERED, INPUTS_LOST where the input `next` is not what the topic would deliver next. */
export function requireNext(stream: string, next: number, held: OffsetRange): void {
  requireReached(stream, next, held);
  if (next >= held.low) return;
  throw new Fault(
    'INPUTS_LOST',
    `inputs ${next} to ${held.low - 1} of ${stream} were deleted before they were taken`,
    'Bring them in again where their senders have them, then `landfall kafka accept-loss` goes on behind them.',
  );
}

/** @throws Fault INPUTS_ALTERED where more was taken than the topic ever held. */
export function requireReached(stream: string, next: number, { high }: OffsetRange): void {
  if (next > high) throw inputsAltered(`${stream} ends at ${high}, but was taken up to ${next}`);
}

export function inputsAltered(what: string): Fault {
  return new Fault(
    'INPUTS_ALTERED',
    `${what}: it is not the topic whose inputs the ledger has`,
    'Check kafkaPrefix; bring the topic back with its offsets, or go on with the one that is there: ' +
      '`landfall kafka accept-loss --made-anew` (docs/kafka.md, Recover).',
  );
}

/** What was delivered does not follow what was taken before. Whoever claims the partition anew is told why. */
export function inputsBroken(stream: string, next: number, from: number): Fault {
  const what = `the inputs of ${stream} are delivered from ${from} on, and not from ${next}`;
  return new Fault('INPUTS_BROKEN', what, 'The partition is claimed anew, which tells what is missing.');
}
