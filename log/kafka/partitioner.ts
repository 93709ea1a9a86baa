import { Partitioners } from 'kafkajs';

const javaPartitioner = Partitioners.DefaultPartitioner();

/** The partition of a key, as Java's producers choose it too (murmur2): a VM's UUID in lower case, or a host's name. */
export function partitionOf(key: string, partitions: number): number {
  const partitionMetadata = Array.from({ length: partitions }, (_, partitionId) => ({
    partitionId,
    leader: 0,
    partitionErrorCode: 0,
    replicas: [],
    isr: [],
  }));
  return javaPartitioner({ topic: '', partitionMetadata, message: { key, value: null } });
}
