import { execFile } from 'node:child_process';
import { accessSync, constants, existsSync, statfsSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { promisify } from 'node:util';
import { Fault, messageOf } from '../events/fault.ts';
import { connectTo } from '../kafka/client.ts';
import { requireTopics } from '../kafka/topics.ts';
import { SqliteLedger } from '../log/sqlite/ledger.ts';
import { Locks } from '../log/sqlite/locks.ts';
import { MACHINE_VERSION } from '../machines/version.ts';
import { kafkaAccess } from '../service/kafka-access.ts';
import type { Settings } from '../service/settings.ts';

/** Checks this machine for the requirements of the service with its settings. The checks change nothing. */

export type CheckResult = {
  readonly what: string;
  /** `absent` marks a program that is not installed and not required. */
  readonly state: 'good' | 'missing' | 'absent';
  readonly found: string;
  readonly remedy: string;
};

const NODE_MAJOR = 24;
const SPACE_BYTES_MIN = 256 * 1024 * 1024;
const PROGRAM_MS = 5000;

export async function checkMachine(settings: Settings): Promise<CheckResult[]> {
  return [
    node(),
    sqlite(),
    folder(settings.db),
    space(settings.db),
    await ledger(settings),
    ...(settings.kafkaBrokers === undefined ? [] : [await brokers(settings)]),
    await program('java', ['-version'], 'only for tests with a local Kafka'),
    await program('mvn', ['--version'], 'only for tests with a local Kafka'),
    await program('virsh', ['--version'], 'only on a hypervisor'),
  ];
}

const good = (what: string, found: string): CheckResult => ({ what, state: 'good', found, remedy: '' });
const missing = (what: string, found: string, remedy: string): CheckResult => ({
  what,
  state: 'missing',
  found,
  remedy,
});

function node(): CheckResult {
  const isNew = Number(process.versions.node.split('.')[0]) >= NODE_MAJOR;
  const found = `Node ${process.versions.node}`;
  return isNew ? good('node', found) : missing('node', found, `Install Node ${NODE_MAJOR}, or run \`npm ci\` here.`);
}

function sqlite(): CheckResult {
  try {
    const db = new DatabaseSync(':memory:');
    const version = String(db.prepare('SELECT sqlite_version() AS version').get()?.['version']);
    db.close();
    return good('node:sqlite', `SQLite ${version}`);
  } catch (error) {
    return missing('node:sqlite', messageOf(error), 'Install a Node that includes SQLite.');
  }
}

/** Returns the ledger's folder, or its nearest existing parent folder. */
function existingFolder(db: string): string {
  let folder = resolve(dirname(db));
  while (!existsSync(folder) && dirname(folder) !== folder) folder = dirname(folder);
  return folder;
}

function folder(db: string): CheckResult {
  const path = existingFolder(db);
  const remedy = 'Choose another file with --db, or make the folder writable.';
  try {
    if (!statSync(path).isDirectory()) return missing('ledger folder', `${path} is not a folder`, remedy);
    accessSync(path, constants.W_OK | constants.X_OK);
    return good('ledger folder', path);
  } catch (error) {
    return missing('ledger folder', messageOf(error), remedy);
  }
}

function space(db: string): CheckResult {
  try {
    const { bavail, bsize } = statfsSync(existingFolder(db));
    const found = `${Math.floor((bavail * bsize) / 1024 / 1024)} MiB free`;
    const isEnough = bavail * bsize >= SPACE_BYTES_MIN;
    return isEnough
      ? good('disk space', found)
      : missing('disk space', found, 'Free some space: commits fail on a full disk.');
  } catch (error) {
    return missing('disk space', messageOf(error), 'Choose another file with --db.');
  }
}

/** Checks the ledger file. A running writer is not a problem. */
async function ledger({ db, kafkaBrokers }: Settings): Promise<CheckResult> {
  const what = 'ledger';
  if (kafkaBrokers !== undefined) return good(what, 'a topic on the configured brokers');
  if (!existsSync(db)) return good(what, `${db} does not exist yet; the first start creates it`);
  try {
    const opened = await SqliteLedger.open({ file: db, mode: 'read', machineVersion: MACHINE_VERSION });
    const { sequence } = await opened.head(opened.partition);
    await opened.close();
    return good(what, `${sequence} entries; ${writerOf(db)}`);
  } catch (error) {
    return missing(what, messageOf(error), error instanceof Fault ? error.remedy : 'Run landfall audit for details.');
  }
}

function writerOf(db: string): string {
  try {
    Locks.acquire(db).release();
    return 'no process writes it';
  } catch (error) {
    if (error instanceof Fault && error.code === 'LEDGER_BUSY') return error.message;
    throw error;
  }
}

/** Checks the connection to the brokers, the access and the topics. */
async function brokers(settings: Settings): Promise<CheckResult> {
  const what = 'kafka';
  try {
    const access = kafkaAccess(settings);
    if (access === null) return good(what, 'not configured');
    const { partitions } = await requireTopics(connectTo(access), access.prefix);
    return good(what, `${access.brokers.join(', ')}: ${partitions} partitions`);
  } catch (error) {
    return missing(what, messageOf(error), error instanceof Fault ? error.remedy : 'Check the setting kafkaBrokers.');
  }
}

async function program(name: string, args: string[], use: string): Promise<CheckResult> {
  try {
    const { stdout, stderr } = await promisify(execFile)(name, args, { timeout: PROGRAM_MS });
    return good(name, (stdout || stderr).trim().split('\n')[0] ?? '');
  } catch {
    return { what: name, state: 'absent', found: `not installed; needed ${use}`, remedy: '' };
  }
}
