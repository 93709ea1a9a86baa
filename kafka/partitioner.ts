import { Partitioners } from './kafkajs.ts';

const javaPartitioner = Partitioners.DefaultPartitioner();
const metadata = new Map<number, ReturnType<typeof metadataOf>>();

/**
 * Returns the partition of a key, as Kafka's default partitioner (murmur2) chooses it. A key is a lower-case VM UUID or a host
 * name.
 */
export function partitionOf(key: string, partitions: number): number {
  if (partitions === 1) return 0;
  const partitionMetadata = metadata.get(partitions) ?? metadataOf(partitions);
  metadata.set(partitions, partitionMetadata);
  return javaPartitioner({ topic: '', partitionMetadata, message: { key, value: null } });
}

/**
 * Returns the partitions of an input: the partition of its VM, or all partitions if the input concerns the site (`vm` is
 * null).
 */
export function partitionsOf(vm: string | null, partitions: number): number[] {
  if (vm !== null) return [partitionOf(vm, partitions)];
  return Array.from({ length: partitions }, (_, partition) => partition);
}

function metadataOf(partitions: number) {
  return Array.from({ length: partitions }, (_, partitionId) => ({
    partitionId,
    leader: 0,
    partitionErrorCode: 0,
    replicas: [],
    isr: [],
  }));
}
