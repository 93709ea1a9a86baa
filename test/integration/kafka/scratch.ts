import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectTo } from '../../../log/kafka/client.ts';
import { KafkaLedger, type KafkaLedgerOptions } from '../../../log/kafka/ledger.ts';
import { initTopics } from '../../../log/kafka/topics.ts';

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
