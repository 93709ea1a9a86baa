import { existsSync, readdirSync, rmSync } from 'node:fs';
import { extname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { Driver } from '../consumers/driver.ts';
import { KafkaLedger } from '../log/kafka/ledger.ts';
import type { KafkaLog } from '../log/kafka/options.ts';
import type { Ledger } from '../log/port.ts';
import { SqliteLedger } from '../log/sqlite/ledger.ts';
import { MACHINE_VERSION } from '../machines/version.ts';
import { directory } from '../projections/directory.ts';
import type { KafkaAccess } from '../service/kafka-access.ts';

/** Opens a ledger in topics for a command: with a copy in a folder, to read it or to drive it. */

const FOLLOWERS = [new URL(`../projections/follow${extname(import.meta.url)}`, import.meta.url).href];
const LOOK_MS = 100;

/** Runs `work` on a copy that has all that the topic had when it was opened. @throws Fault KAFKA_…, LEDGER_…. */
export async function copied<T>(
  access: KafkaAccess,
  work: (ledger: KafkaLedger) => Promise<T>,
  log: KafkaLog = () => {},
): Promise<T> {
  const ledger = await KafkaLedger.open({ ...access, followers: FOLLOWERS, machineVersion: MACHINE_VERSION, log });
  try {
    await caughtUp(ledger);
    return await work(ledger);
  } finally {
    await ledger.close();
  }
}

/** A partition that cannot be followed is as far as it will get: its copy's `fault` says why. */
async function caughtUp(ledger: KafkaLedger): Promise<void> {
  const isBehind = (partition: number) =>
    ledger.ageMs(partition, Date.now()) === null && ledger.copy(partition).fault === null;
  const partitions = Array.from({ length: ledger.partitions }, (_, partition) => partition);
  while (partitions.some(isBehind)) await wait(LOOK_MS);
}

/** Runs `work` as the owner of partition 0. What it decided is committed before this returns. */
export function drivingTopic<T>(access: KafkaAccess, work: (driver: Driver, ledger: Ledger) => Promise<T>): Promise<T> {
  return copied(access, async (ledger) => {
    const owner = await ledger.claim(0);
    const driver = new Driver(owner, directory(ledger.copy(0).ledger.readConnection()));
    const result = await work(driver, ledger);
    await driver.release();
    return result;
  });
}

/** Removes a copy that nobody uses. @throws Fault LEDGER_BUSY where an instance holds it. */
export async function removeCopy(folder: string): Promise<void> {
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
