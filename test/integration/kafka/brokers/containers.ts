/** The image `confluentinc/cp-kafka` or a compatible one. ZooKeeper is not needed since version 8.0.0. */
const given = process.env['LANDFALL_TEST_KAFKA_IMAGE'] ?? '';
const IMAGE = given === '' ? 'confluentinc/cp-kafka:8.0.0' : given;
export const isImageGiven = given !== '';
const PORT = 9093;
const TAIL_LINES = 20;

export type Contained = { readonly bootstrap: readonly string[]; stop(): Promise<void> };

/**
 * Starts one broker in a container. Returns undefined if no Docker daemon answers. @throws Error if the container does not start.
 */
export async function startContainer(): Promise<Contained | undefined> {
  const { getContainerRuntimeClient, Wait } = await import('testcontainers');
  const isThere = await getContainerRuntimeClient().then(
    () => true,
    () => false,
  );
  if (!isThere) return undefined;
  const { KafkaContainer } = await import('@testcontainers/kafka');
  const printed: string[] = [];
  const container = await new KafkaContainer(IMAGE)
    .withKraft()
    .withEnvironment({
      KAFKA_AUTO_CREATE_TOPICS_ENABLE: 'false',
      KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS: '4',
      KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR: '1',
      KAFKA_TRANSACTION_STATE_LOG_NUM_PARTITIONS: '4',
    })
    .withWaitStrategy(Wait.forLogMessage(/Kafka Server started/)) // The port opens before the broker is ready.
    .withLogConsumer((stream) => stream.on('data', (line) => printed.push(String(line).trimEnd())))
    .start()
    .catch((error: unknown) => {
      throw new Error([`${IMAGE}: ${String(error)}`, ...printed.slice(-TAIL_LINES)].join('\n'), { cause: error });
    });
  const bootstrap = [`${container.getHost()}:${container.getMappedPort(PORT)}`];
  return {
    bootstrap,
    stop: async () => {
      await container.stop({ timeout: 0 });
    },
  };
}
