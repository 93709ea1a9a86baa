import { extname } from 'node:path';
import type { Logger } from 'pino';
import { parseMappings } from '../../consumers/kafka/mapping.ts';
import type { Time } from '../../engine/time.ts';
import { KafkaLedger } from '../../log/kafka/ledger.ts';
import type { KafkaLog } from '../../kafka/options.ts';
import { createFolderOf } from '../../log/sqlite/folder.ts';
import { SqliteLedger } from '../../log/sqlite/ledger.ts';
import { MACHINE_VERSION } from '../../machines/version.ts';
import { kafkaAccess, type KafkaAccess, readSetting } from '../kafka-access.ts';
import type { Reads } from '../reads/parts.ts';
import type { Settings } from '../settings.ts';
import type { ClusterEngine } from './cluster.ts';
import type { ClusterObserver } from './cluster-parts.ts';
import { embedded, EmbeddedEngine } from './embedded.ts';
import type { Engine } from './engine.ts';
import { openClusterEngine } from './open-cluster.ts';

/** Opens the engine and the ledger that the settings name: embedded, or one instance of a Kafka cluster. */

export type Opened = {
  readonly engine: Engine;
  /** The engine again, typed as an instance of a cluster; null for an embedded ledger. */
  readonly cluster: ClusterEngine | null;
  /** True if the embedded ledger had no entry when it was opened. */
  readonly isEmpty: boolean;
};

type Around = { readonly time: Time; readonly logger: Logger; readonly observer: ClusterObserver };

const PROJECTIONS = [new URL(`../../projections/inline-projection${extname(import.meta.url)}`, import.meta.url).href];

export async function openEngine(settings: Settings, around: Around): Promise<Opened> {
  const access = kafkaAccess(settings);
  return access === null ? openEmbedded(settings.db, around) : openCluster(settings, access, around);
}

async function openEmbedded(file: string, { time, observer }: Around): Promise<Opened> {
  createFolderOf(file);
  const ledger = await SqliteLedger.open({
    file,
    mode: 'write',
    projections: PROJECTIONS,
    machineVersion: MACHINE_VERSION,
  });
  const engine = new EmbeddedEngine(embedded(ledger), time, observer);
  return { engine, cluster: null, isEmpty: ledger.entryAt(1) === null };
}

async function openCluster(
  settings: Settings,
  access: KafkaAccess,
  { time, logger, observer }: Around,
): Promise<Opened> {
  const log = kafkaLog(logger);
  const cluster = await openClusterEngine({
    ledger: { ...access, projections: PROJECTIONS, machineVersion: MACHINE_VERSION, log },
    sessionTimeoutMs: settings.kafkaSessionSeconds * 1000,
    mappings:
      settings.kafkaMappings === undefined ? [] : parseMappings(readSetting(settings.kafkaMappings, 'kafkaMappings')),
    time,
    log,
    observer,
  });
  return { engine: cluster, cluster, isEmpty: false };
}

/** Opens the ledger of the demo topics, into which recordings were played; null without Kafka. */
export async function openDemo(
  settings: Settings,
  logger: Logger,
): Promise<{ reads: Reads; close: () => Promise<void> } | null> {
  const access = kafkaAccess({ ...settings, kafkaPrefix: `${settings.kafkaPrefix}-demo` });
  if (access === null) return null;
  const log = kafkaLog(logger);
  const ledger = await KafkaLedger.open({ ...access, projections: PROJECTIONS, machineVersion: MACHINE_VERSION, log });
  const reads = Array.from({ length: ledger.partitions }, (_, partition) => {
    const file = ledger.replica(partition).ledger;
    return { partition, ledger: file, db: file.readConnection() };
  });
  return { reads, close: () => ledger.close() };
}

function kafkaLog(logger: Logger): KafkaLog {
  const ours = logger.child({ part: 'kafka' });
  return (level, message, details) => ours[level](details, message);
}
