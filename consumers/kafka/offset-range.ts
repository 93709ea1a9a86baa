import { Fault } from '../../events/fault.ts';

/**
 * Compares the ledger's input position with the offsets that the topic holds. Offsets of a recreated topic mean other inputs, and
 * inputs deleted before they were consumed would be lost silently.
 */

/** The offsets a topic partition holds: `low` of its first record, `high` after its last record. */
export type OffsetRange = { readonly low: number; readonly high: number };

/** @throws Fault INPUTS_ALTERED, INPUTS_LOST if the topic cannot deliver the input `next`. */
export function requireNext(stream: string, next: number, held: OffsetRange): void {
  requireReached(stream, next, held);
  if (next >= held.low) return;
  throw new Fault(
    'INPUTS_LOST',
    `inputs ${next} to ${held.low - 1} of ${stream} were deleted before they were consumed`,
    'Send them again if their senders have them, then run `landfall kafka accept-loss` to continue behind them.',
  );
}

/** @throws Fault INPUTS_ALTERED if the ledger consumed inputs beyond the end of the topic. */
export function requireReached(stream: string, next: number, { high }: OffsetRange): void {
  if (next > high) throw inputsAltered(`${stream} ends at ${high}, but was consumed up to ${next}`);
}

export function inputsAltered(what: string): Fault {
  return new Fault(
    'INPUTS_ALTERED',
    `${what}: the topic is not the one that the ledger consumed`,
    'Check kafkaPrefix; restore the topic with its offsets, or continue with the present topic: ' +
      '`landfall kafka accept-loss --made-anew` (docs/kafka.md, Recover).',
  );
}

/**
 * Returns the fault for a fetched batch that leaves a gap behind the consumed inputs. The next claim reports which
 * inputs are missing.
 */
export function inputsBroken(stream: string, next: number, from: number): Fault {
  const what = `the inputs of ${stream} were delivered from offset ${from} instead of ${next}`;
  return new Fault(
    'INPUTS_BROKEN',
    what,
    'Wait: the partition is claimed again, and the claim reports what is missing.',
  );
}
