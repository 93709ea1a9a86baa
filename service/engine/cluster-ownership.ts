import { clockBehind } from '../../consumers/kafka/clock-check.ts';
import { PartitionOwnership } from '../../consumers/kafka/partition-ownership.ts';
import type { Time } from '../../engine/time.ts';
import type { Fault } from '../../events/fault.ts';
import { inputsStream } from '../../log/kafka/inputs-stream.ts';
import type { Directory } from '../../log/directory.ts';
import type { KafkaLedger } from '../../log/kafka/ledger.ts';
import type { ReplicaStore } from '../../log/kafka/replica-store.ts';
import { Relay, RELAYED } from '../../producers/kafka/relay.ts';
import type { ClusterOptions, ClusterParts } from './cluster-parts.ts';

/** Opens the ownership of a partition assigned to this instance: connects it to the ledger, its inputs and its relay. */

type OwnershipParts = Pick<ClusterParts, 'producers' | 'membership'> & {
  readonly ledger: KafkaLedger<ReplicaStore>;
  readonly directory: (partition: number) => Directory;
};
type OwnershipOptions = Pick<ClusterOptions, 'time' | 'log' | 'observer'>;

export function openOwnership(partition: number, parts: OwnershipParts, options: OwnershipOptions): PartitionOwnership {
  const { ledger, membership, directory } = parts;
  const { time, log, observer = {} } = options;
  return new PartitionOwnership({
    partition,
    ledger,
    time,
    directory: () => directory(partition),
    knownProgress: () => ledger.replica(partition),
    assignmentEpoch: () => membership.assignmentEpoch(partition),
    inputs: {
      streamIn: (checkpoints) => inputsStream(checkpoints, ledger.topics.inputs, partition),
      offsetRange: () => membership.offsetRange(partition),
      seek: (offset) => membership.ready(partition, offset),
    },
    relay: {
      key: RELAYED,
      start: (next, saveCheckpoint) => openRelay(partition, parts, options, next, saveCheckpoint),
    },
    observer: {
      committed: (entries, ms) => observer.committed?.(entries, ms),
      fired: (count, ms) => observer.fired?.(count, ms),
      ready: (_, next) => log('info', 'claimed the partition', { partition, next }),
      down: (_, fault) => {
        log('warn', fault.message, { partition, code: fault.code });
        observer.died?.(fault);
        membership.down(partition);
      },
    },
  });
}

/** Why this instance, unlike the rest of the group, cannot decide the partition; null if it can. */
export function obstacleOf(
  partition: number,
  { ledger, directory }: Pick<OwnershipParts, 'ledger' | 'directory'>,
  time: Time,
): Fault | null {
  return ledger.replica(partition).fault ?? clockBehind(directory(partition), time.now());
}

function openRelay(
  partition: number,
  { ledger, producers }: OwnershipParts,
  { log, observer = {} }: OwnershipOptions,
  next: number,
  saveCheckpoint: (sequence: number) => void,
): Relay {
  const relayOptions = {
    partition,
    partitions: ledger.partitions,
    topics: ledger.topics,
    producer: producers.outgoing,
    read: (from: number) => ledger.read(partition, from),
    saveCheckpoint,
    ...(observer.truncated === undefined ? {} : { truncated: observer.truncated }),
    log,
  };
  return new Relay(relayOptions, next);
}
