import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectTo } from '../../../kafka/client.ts';
import kafkajs from '../../../kafka/kafkajs.ts';
import { KafkaLedger, type KafkaLedgerOptions } from '../../../log/kafka/ledger.ts';
import { initTopics } from '../../../kafka/topics.ts';
import { withRawAdmin } from './raw-client.ts';

/** The topics of one test, under a unique prefix, and the folders of its local copies. */
export type Scratch = {
  readonly prefix: string;
  readonly partitions: number;
  readonly brokers: readonly string[];
  readonly folder: (instance: string) => string;
  /** The folder of the local copies of an instance. */
  readonly copies: (instance: string) => string;
  readonly open: (instance?: string, options?: Partial<KafkaLedgerOptions>) => Promise<KafkaLedger>;
  readonly cleanup: () => void;
};

let scratchCount = 0;

/** Creates topics under a prefix that no other test uses. `connectedTo` are the listeners for the ledgers and instances. */
export async function scratchTopics(
  brokers: readonly string[],
  partitions: number,
  replicationFactor = 1,
  connectedTo = brokers,
  minInsyncReplicas = Math.max(1, replicationFactor - 1),
): Promise<Scratch> {
  const scratch = scratchFolders(connectedTo, partitions);
  const { prefix } = scratch;
  const connection = connectTo({ brokers, clientId: 'test' });
  await initTopics(connection, { prefix, partitions, replicationFactor, minInsyncReplicas });
  return scratch;
}

/** Returns the prefix and the folders alone: the test creates the topics itself. */
export function scratchFolders(brokers: readonly string[], partitions: number): Scratch {
  scratchCount += 1;
  const prefix = `t${process.pid}-${Date.now().toString(36)}-${scratchCount}`;
  const root = mkdtempSync(join(tmpdir(), 'landfall-kafka-'));
  const folder = (instance: string) => join(root, instance);
  return {
    prefix,
    partitions,
    brokers,
    folder,
    copies: (instance) => join(folder(instance), `${prefix}.copy`),
    open: (instance = 'one', options = {}) =>
      KafkaLedger.open({
        brokers,
        clientId: instance,
        prefix,
        folder: folder(instance),
        machineVersion: 'test',
        ...options,
      }),
    cleanup: () => rmSync(root, { recursive: true, force: true }),
  };
}

/** Changes some settings of a topic. Kafka resets every setting that a request leaves out, so the request repeats the rest. */
export async function alterTopic(
  brokers: readonly string[],
  topic: string,
  changes: Readonly<Record<string, string>>,
): Promise<void> {
  await withRawAdmin(brokers, async (admin) => {
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
