import type { KafkaLog } from '../../kafka/options.ts';
import { inputsStream } from '../../log/kafka/inputs-stream.ts';
import type { KafkaLedger } from '../../log/kafka/ledger.ts';
import type { ReadableListener } from '../../log/kafka/replica.ts';
import { configuration } from '../../projections/site.ts';
import type { Part } from '../reads/parts.ts';
import type { ClusterParts } from './cluster-parts.ts';

/** Passes entries that became readable to waiting senders, the work queue and the observer. */
export function publishCommitted(
  parts: ClusterParts,
  log: KafkaLog,
  [partition, entries, head, inputPositions]: Parameters<ReadableListener>,
): void {
  const { decisions, ledger, workQueue, observer, membership, reads } = parts;
  const stream = inputsStream(ledger.replica(partition).checkpoints, ledger.topics.inputs, partition);
  decisions[partition]?.switchStream(stream);
  decisions[partition]?.applyCommitted(entries, head, inputPositions);
  if (entries.length === 0) return;
  workQueue.committed(entries);
  observer.entries?.(entries, membership.ownerships.has(partition));
  if (entries.some((entry) => entry.configuration !== null)) keepHorizon(reads, ledger, log);
}

/** Sets how long each replica remembers input identities, as the configuration says. */
export function keepHorizon(reads: readonly Part[], ledger: KafkaLedger, log: KafkaLog): void {
  for (const { partition, db } of reads) {
    const { dedupHorizonSeconds: seconds, dedupHorizonCount: count } = configuration(db);
    ledger
      .replica(partition)
      .ledger.setHorizon({ seconds, count })
      .catch((error: unknown) => log('warn', 'cannot set the deduplication horizon', { error: String(error) }));
  }
}
