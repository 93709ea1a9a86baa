import { clockBehind } from '../../consumers/kafka/clock-check.ts';
import { PartitionOwnership } from '../../consumers/kafka/partition-ownership.ts';
import type { Time } from '../../engine/time.ts';
import type { Fault } from '../../events/fault.ts';
import { inputsStream } from '../../log/kafka/inputs-stream.ts';
import type { KafkaLedger } from '../../log/kafka/ledger.ts';
import { Relay, RELAYED } from '../../producers/kafka/relay.ts';
import { directory } from '../../projections/directory.ts';
import type { Part } from '../reads/parts.ts';
import type { ClusterOptions, ClusterParts } from './cluster-parts.ts';

/** Opens the ownership of a partition assigned to this instance: connects it to the ledger, its inputs and its relay. */

type OwnershipParts = Pick<ClusterParts, 'reads' | 'ledger' | 'producers' | 'membership'>;

export function openOwnership(partition: number, parts: OwnershipParts, options: ClusterOptions): PartitionOwnership {
  const { ledger, membership } = parts;
  const { time, log, observer = {} } = options;
  const { db } = partOf(parts.reads, partition);
  return new PartitionOwnership({
    partition,
    ledger,
    time,
    directory: () => directory(db),
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
export function obstacleOf(partition: number, reads: readonly Part[], ledger: KafkaLedger, time: Time): Fault | null {
  const { db } = partOf(reads, partition);
  return ledger.replica(partition).fault ?? clockBehind(directory(db), time.now());
}

function openRelay(
  partition: number,
  { ledger, producers }: OwnershipParts,
  { log, observer = {} }: ClusterOptions,
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

function partOf(reads: readonly Part[], partition: number): Part {
  const part = reads[partition];
  if (part === undefined) throw new RangeError(`there is no partition ${partition}`);
  return part;
}
