import type { Decision } from '../../consumers/kafka/decision-tracker.ts';
import { Fault } from '../../events/fault.ts';
import { formatPosition } from '../../log/port.ts';
import type { Receipt } from './engine.ts';

/** The decision of one partition on an input; `decision` is null while it is pending. */
export type Outcome = { readonly partition: number; readonly decision: Decision | null; readonly input: string };

/** Combines the decisions of all partitions an input was sent to. */
export function receiptOf(outcomes: readonly Outcome[]): Receipt {
  const pending = outcomes.find(({ decision }) => decision === null);
  if (pending !== undefined) return { outcome: 'pending', refusal: null, position: null, input: pending.input };
  const entries = outcomes.flatMap(({ partition, decision }) =>
    decision === null || decision.sequence === null ? [] : [formatPosition({ partition, sequence: decision.sequence })],
  );
  if (entries.length === 0) return { outcome: 'duplicate', refusal: null, position: null };
  const refusal = outcomes.find(({ decision }) => decision?.refusal !== null)?.decision?.refusal ?? null;
  return { outcome: refusal === null ? 'consumed' : 'refused', refusal, position: entries.join(',') };
}

export function unsent(cause: unknown): Fault {
  if (cause instanceof Fault && cause.code === 'INPUTS_ALTERED') return cause;
  const why = cause instanceof Fault ? cause.code : 'KAFKA_FAILED';
  const remedy = 'Send it again when /readyz returns 200; a repeated input changes nothing.';
  return new Fault('NOT_READY', `the brokers did not acknowledge the input (${why})`, remedy, cause);
}

export function recorded(): Fault {
  const remedy = 'Play the recording into an embedded ledger and resolve the attempt there.';
  return new Fault('NOT_LIVE', 'this ledger does not decide inputs of a recording', remedy);
}

export function notJoined(why: string): Fault {
  return new Fault(
    'KAFKA_NOT_JOINED',
    `this instance is not a member of the consumer group: ${why}`,
    'Check the brokers; the instance keeps trying.',
  );
}
