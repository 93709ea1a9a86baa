import { inputsStream } from '../../log/kafka/inputs-stream.ts';
import { RELAYED } from '../../producers/kafka/relay.ts';
import type { ClusterParts } from './cluster-parts.ts';

/** Computes how many records each partition is behind, for metrics and the log. */

export type Lag = { readonly partition: number; readonly records: number };

/** Returns the number of ledger records that are not in the replica yet, for each partition. */
export function ledgerLag({ ledger, reads }: Pick<ClusterParts, 'ledger' | 'reads'>): Lag[] {
  return reads.map(({ partition }) => ({ partition, records: ledger.lag(partition) }));
}

/**
 * Returns the number of records in the topic of inputs behind the last decided input of each partition. @throws Fault
 * KAFKA_….
 */
export function inputLag(
  { ledger, membership }: Pick<ClusterParts, 'ledger' | 'membership'>,
  owned: readonly number[],
): Promise<Lag[]> {
  return Promise.all(
    owned.map(async (partition) => {
      const { inputPositions, checkpoints } = ledger.replica(partition);
      const decided = inputPositions.get(inputsStream(checkpoints, ledger.topics.inputs, partition)) ?? -1;
      const { high } = await membership.offsetRange(partition);
      return { partition, records: Math.max(0, high - decided - 1) };
    }),
  );
}

/** Returns the number of entries behind the relay checkpoint of each partition. */
export function relayLag({ ledger }: Pick<ClusterParts, 'ledger'>, owned: readonly number[]): Lag[] {
  return owned.map((partition) => {
    const { readableSequence, checkpoints } = ledger.replica(partition);
    return { partition, records: Math.max(0, readableSequence - (checkpoints.get(RELAYED) ?? 0)) };
  });
}
