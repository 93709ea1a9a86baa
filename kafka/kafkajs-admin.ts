import type { Admin } from 'kafkajs';
import { briefly } from './bounded.ts';
import type { Kafka } from './kafkajs.ts';
import type { KafkaAdmin, NewTopic, OffsetRange, TopicLayout } from './port.ts';

/** The value of kafkajs's `ConfigResourceTypes.TOPIC`, which an ES module cannot import by name. */
const CONFIG_OF_TOPIC = 2;

/** Administration with kafkajs. */
export class KafkajsAdmin implements KafkaAdmin {
  readonly #admin: Admin;

  constructor(kafka: Kafka) {
    this.#admin = kafka.admin();
  }

  connect(): Promise<void> {
    return this.#admin.connect();
  }

  close(): Promise<void> {
    return briefly(this.#admin.disconnect());
  }

  topicNames(): Promise<string[]> {
    return this.#admin.listTopics();
  }

  async layouts(topics: readonly string[]): Promise<TopicLayout[]> {
    const found = await this.#admin.fetchTopicMetadata({ topics: [...topics] });
    return found.topics.map(({ name, partitions }) => ({
      topic: name,
      partitions: partitions.map(({ leader, replicas }) => ({ hasLeader: leader >= 0, replicas: replicas.length })),
    }));
  }

  async createTopics(topics: readonly NewTopic[]): Promise<void> {
    const made = topics.map(({ topic, partitions, replicationFactor, configs }) => ({
      topic,
      numPartitions: partitions,
      replicationFactor,
      configEntries: Object.entries(configs).map(([name, value]) => ({ name, value })),
    }));
    // With `waitForLeaders` kafkajs fails if a broker does not know a new topic yet.
    await this.#admin.createTopics({ waitForLeaders: false, topics: made });
  }

  async configs(wanted: readonly { topic: string; names: readonly string[] }[]) {
    const resources = wanted.map(({ topic, names }) => ({
      type: CONFIG_OF_TOPIC,
      name: topic,
      configNames: [...names],
    }));
    const described = await this.#admin.describeConfigs({ resources, includeSynonyms: false });
    return new Map(
      described.resources.map(({ resourceName, configEntries }) => [
        resourceName,
        new Map(configEntries.map(({ configName, configValue }) => [configName, configValue])),
      ]),
    );
  }

  async ranges(topic: string): Promise<Map<number, OffsetRange>> {
    const ranges = await this.#admin.fetchTopicOffsets(topic);
    return new Map(ranges.map(({ partition, low, high }) => [partition, { low: Number(low), high: Number(high) }]));
  }

  async groupClients(group: string): Promise<string[]> {
    const { groups } = await this.#admin.describeGroups([group]);
    return groups.flatMap(({ members }) => members.map(({ clientId }) => clientId));
  }
}
