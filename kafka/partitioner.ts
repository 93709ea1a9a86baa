import { Partitioners } from './kafkajs.ts';

const javaPartitioner = Partitioners.DefaultPartitioner();
const metadata = new Map<number, ReturnType<typeof metadataOf>>();

/** The partition of a key, as Java's producers choose it too (murmur2): a VM's UUID in lower case, or a host's name. */
export function partitionOf(key: string, partitions: number): number {
  if (partitions === 1) return 0;
  const partitionMetadata = metadata.get(partitions) ?? metadataOf(partitions);
  metadata.set(partitions, partitionMetadata);
  return javaPartitioner({ topic: '', partitionMetadata, message: { key, value: null } });
}

/** Where an input goes: to its VM's partition; what concerns the site (null) goes to all. */
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
