import { existsSync, readdirSync, rmSync } from 'node:fs';
import { extname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { Driver } from '../engine/driver.ts';
import { Fault } from '../events/fault.ts';
import type { Replica } from '../log/kafka/replica.ts';
import { KafkaLedger } from '../log/kafka/ledger.ts';
import type { KafkaLog } from '../kafka/options.ts';
import type { Ledger } from '../log/port.ts';
import { SqliteLedger } from '../log/sqlite/ledger.ts';
import { MACHINE_VERSION } from '../machines/version.ts';
import { directory } from '../projections/directory.ts';
import type { KafkaAccess } from '../service/kafka-access.ts';

/** Opens a ledger in Kafka topics for a command, with a replica in a folder. */

const PROJECTIONS = [new URL(`../projections/inline-projection${extname(import.meta.url)}`, import.meta.url).href];
const LOOK_MS = 100;
/** The wait for a replica fails after this time without progress, in milliseconds. */
const STALL_MS = 60_000;

/** Runs `work` on a replica with all records that the topic had at the start. @throws Fault KAFKA_…, LEDGER_…. */
export async function withReplica<T>(
  access: KafkaAccess,
  work: (ledger: KafkaLedger) => Promise<T>,
  log: KafkaLog = () => {},
): Promise<T> {
  const ledger = await KafkaLedger.open({ ...access, projections: PROJECTIONS, machineVersion: MACHINE_VERSION, log });
  try {
    await waitForReplicas(ledger);
    return await work(ledger);
  } finally {
    await ledger.close();
  }
}

type Followed = Pick<KafkaLedger, 'partitions' | 'ageMs' | 'lag'> & {
  readonly replica: (partition: number) => Pick<Replica, 'offset' | 'fault'>;
};

/**
 * Resolves when the replicas have all records that the topic had at `asOf`. A replica with a fault counts as finished;
 * its `fault` has the reason. There is no limit while records arrive.
 * @throws Fault KAFKA_FAILED if no record arrives for `stallMs`.
 */
export async function waitForReplicas(ledger: Followed, { asOf = 0, stallMs = STALL_MS } = {}): Promise<void> {
  const isBehind = (partition: number) => {
    const now = Date.now();
    const ageMs = ledger.ageMs(partition, now);
    return (ageMs === null || now - ageMs < asOf) && ledger.replica(partition).fault === null;
  };
  const partitions = Array.from({ length: ledger.partitions }, (_, partition) => partition);
  let [reached, since] = ['', Date.now()];
  for (;;) {
    const behind = partitions.filter(isBehind);
    if (behind.length === 0) return;
    const now = behind.map((partition) => `${partition}:${ledger.replica(partition).offset ?? -1}`).join();
    if (now !== reached) [reached, since] = [now, Date.now()];
    else if (Date.now() - since >= stallMs) throw stalled(behind, ledger, stallMs);
    await wait(LOOK_MS);
  }
}

function stalled(behind: readonly number[], ledger: Followed, stallMs: number): Fault {
  const missing = behind.map((partition) => `partition ${partition} (${ledger.lag(partition)} records to come)`);
  const seconds = Math.round(stallMs / 1000);
  return new Fault(
    'KAFKA_FAILED',
    `the ledger topic could not be read to its end: no record for ${seconds} s from ${missing.join(', ')}`,
    'Check that each partition has a leader (kafka-topics.sh --describe), the ACLs and the network; then run the command again.',
  );
}

/** Runs `work` as the owner of partition 0. All decisions are committed when this resolves. */
export function withTopicWriter<T>(
  access: KafkaAccess,
  work: (driver: Driver, ledger: Ledger) => Promise<T>,
): Promise<T> {
  return withReplica(access, async (ledger) => {
    const owner = await ledger.claim(0);
    const driver = new Driver(owner, directory(ledger.replica(0).ledger.readConnection()));
    const result = await work(driver, ledger);
    await driver.release();
    return result;
  });
}

/** Deletes an unused replica. @throws Fault LEDGER_BUSY if an instance uses it. */
export async function deleteReplica(folder: string): Promise<void> {
  const files = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.db')) : [];
  for (const name of files) {
    const file = join(folder, name);
    const ledger = await SqliteLedger.open({
      file,
      mode: 'write',
      machineVersion: MACHINE_VERSION,
      verifyOnOpen: false,
    });
    await ledger.close();
  }
  rmSync(folder, { recursive: true, force: true });
}
