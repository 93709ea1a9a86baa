import { existsSync, mkdirSync } from 'node:fs';
import { dirname, extname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Driver } from '../engine/driver.ts';
import { Fault } from '../events/fault.ts';
import { parseMoment } from '../events/moment.ts';
import { ChainFault, link } from '../log/chain.ts';
import type { StoredEntry } from '../log/port.ts';
import { SqliteLedger } from '../log/sqlite/ledger.ts';
import { MACHINE_VERSION } from '../machines/version.ts';
import { asOf } from '../projections/as-of.ts';
import { rebuild } from '../projections/rebuild.ts';
import { directory } from '../projections/directory.ts';
import { brokenTables, PROJECTION_VERSION, projectionVersion } from '../projections/schema.ts';

/** Opens the embedded ledger for a command: to read it with its projections, or to drive it. */

export const DEFAULT_FILE = '.landfall/ledger.db';
export const DEMO_FILE = '.landfall/demo.db';

const FOLLOWERS = [new URL(`../projections/follow${extname(import.meta.url)}`, import.meta.url).href];

export type Reading = { ledger: SqliteLedger; db: DatabaseSync };

/** Runs `work` on a ledger opened for reading, and closes it whatever happens. */
export async function withLedger<T>(file: string, work: (reading: Reading) => Promise<T> | T): Promise<T> {
  return withReadOnlyLedger(file, (now) => {
    requireProjections(now.db);
    return work(now);
  });
}

/** The same for those that find fault with the projections themselves. */
export async function withReadOnlyLedger<T>(file: string, work: (reading: Reading) => Promise<T> | T): Promise<T> {
  requireFile(file);
  const ledger = await SqliteLedger.open({ file, mode: 'read', machineVersion: MACHINE_VERSION });
  try {
    return await work({ ledger, db: ledger.readConnection() });
  } finally {
    await ledger.close();
  }
}

function requireFile(file: string): void {
  if (existsSync(file)) return;
  throw new Fault(
    'LEDGER_MISSING',
    `there is no ledger ${file}`,
    'Check --db and LANDFALL_DB. landfall ingest makes a ledger; landfall demo makes one to look at.',
  );
}

function requireProjections(db: DatabaseSync): void {
  const version = projectionVersion(db);
  const broken = brokenTables(db);
  if (version === PROJECTION_VERSION && broken.length === 0) return;
  const what =
    version === null || broken.length > 0
      ? 'are missing or not whole'
      : `were written by another version (${version}, this is ${PROJECTION_VERSION})`;
  throw new Fault(
    'PROJECTIONS_MISSING',
    `the projections ${what}`,
    'landfall rebuild makes them anew from the ledger.',
  );
}

/** The same as of a moment in the past: the projections are folded anew up to it, in memory. */
export async function withLedgerAsOf<T>(
  file: string,
  atMs: number | undefined,
  work: (reading: Reading) => Promise<T> | T,
): Promise<T> {
  return withLedger(file, async (now) => {
    if (atMs === undefined) return work(now);
    // The past is folded from the entries themselves: what was altered is not to be told as what was.
    await now.ledger.verify();
    const db = await asOf(now.ledger, 0, atMs);
    try {
      return await work({ ledger: now.ledger, db });
    } finally {
      db.close();
    }
  });
}

/** Entries as they were written: an altered one is refused instead of told. */
export async function* verifiedEntries(entries: AsyncIterable<StoredEntry>): AsyncGenerator<StoredEntry> {
  for await (const stored of entries) {
    if (link(stored.previous, stored.text) !== stored.hash)
      throw new ChainFault(stored, 'altered', 'its text and its hash do not belong together');
    yield stored;
  }
}

/** Runs `work` as the one writer of a ledger. What it decided is committed before this returns. */
export async function withWriter<T>(
  file: string,
  work: (driver: Driver, ledger: SqliteLedger) => Promise<T>,
  verifyOnOpen = true,
): Promise<T> {
  mkdirSync(dirname(file), { recursive: true });
  const ledger = await SqliteLedger.open({
    file,
    mode: 'write',
    followers: FOLLOWERS,
    machineVersion: MACHINE_VERSION,
    verifyOnOpen,
  });
  try {
    const owner = await ledger.claim(0);
    const driver = new Driver(owner, directory(ledger.readConnection()));
    const result = await work(driver, ledger);
    await driver.release();
    return result;
  } finally {
    await ledger.close();
  }
}

/** Makes the projections of a ledger anew. @returns how many entries were folded in. */
export async function rebuildFile(file: string): Promise<number> {
  requireFile(file);
  // Opened as the one writer, so that nobody folds entries in meanwhile.
  const ledger = await SqliteLedger.open({ file, mode: 'write', machineVersion: MACHINE_VERSION });
  try {
    const db = new DatabaseSync(file);
    try {
      // What was altered must not spread into the projections, which would then agree with it: they are one transaction.
      return await rebuild({ partitions: ledger.partitions, read: () => ledger.readVerified() }, db);
    } finally {
      db.close();
    }
  } finally {
    await ledger.close();
  }
}

/** A moment as the user types or copies it. @throws Fault BAD_TIME. */
export function parseTime(text: string): number {
  const ms = parseMoment(text);
  if (ms !== null) return ms;
  throw new Fault(
    'BAD_TIME',
    `--at: ${JSON.stringify(text)} is not a time`,
    'Write it as 2026-11-23T02:14:00Z, or in milliseconds since the epoch.',
  );
}
