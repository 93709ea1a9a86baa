import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { administer, connectTo } from '../../../kafka/client.ts';
import kafkajs from '../../../kafka/kafkajs.ts';
import { KafkaLedger, type KafkaLedgerOptions } from '../../../log/kafka/ledger.ts';
import { initTopics } from '../../../kafka/topics.ts';

/** Topics of their own for each test, and folders for the copies. */
export type Scratch = {
  readonly prefix: string;
  readonly partitions: number;
  readonly brokers: readonly string[];
  readonly folder: (instance: string) => string;
  /** Where a served instance keeps its copies. */
  readonly copies: (instance: string) => string;
  readonly open: (instance?: string, options?: Partial<KafkaLedgerOptions>) => Promise<KafkaLedger>;
  readonly cleanup: () => void;
};

let made = 0;

export async function scratchTopics(
  brokers: readonly string[],
  partitions: number,
  replicationFactor = 1,
  /** Where its ledgers and instances connect to, if not there. */
  connectedTo = brokers,
  minInsyncReplicas = Math.max(1, replicationFactor - 1),
): Promise<Scratch> {
  made += 1;
  const prefix = `t${process.pid}-${Date.now().toString(36)}-${made}`;
  const root = mkdtempSync(join(tmpdir(), 'landfall-kafka-'));
  await initTopics(connectTo({ brokers, clientId: 'test' }), {
    prefix,
    partitions,
    replicationFactor,
    minInsyncReplicas,
  });
  const folder = (instance: string) => join(root, instance);
  return {
    prefix,
    partitions,
    brokers: connectedTo,
    folder,
    copies: (instance) => join(folder(instance), `${prefix}.copy`),
    open: (instance = 'one', options = {}) =>
      KafkaLedger.open({
        brokers: connectedTo,
        clientId: instance,
        prefix,
        folder: folder(instance),
        machineVersion: 'test',
        ...options,
      }),
    cleanup: () => rmSync(root, { recursive: true, force: true }),
  };
}

/** Changes some of a topic's settings. Kafka would forget all that are not given again. */
export async function alterTopic(
  brokers: readonly string[],
  topic: string,
  changes: Readonly<Record<string, string>>,
): Promise<void> {
  await administer(connectTo({ brokers, clientId: 'test' }), async (admin) => {
    const named = { type: kafkajs.ConfigResourceTypes.TOPIC, name: topic };
    const { resources } = await admin.describeConfigs({ resources: [named], includeSynonyms: false });
    const own = resources.flatMap(({ configEntries }) =>
      configEntries.filter(({ configSource }) => configSource === kafkajs.ConfigSource.TOPIC_CONFIG),
    );
    const all = {
      ...Object.fromEntries(own.map(({ configName, configValue }) => [configName, configValue])),
      ...changes,
    };
    const configEntries = Object.entries(all).map(([name, value]) => ({ name, value }));
    await admin.alterConfigs({ resources: [{ ...named, configEntries }], validateOnly: false });
  });
}
