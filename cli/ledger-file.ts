import { existsSync } from 'node:fs';
import { extname } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { Driver } from '../engine/driver.ts';
import { Fault } from '../events/fault.ts';
import { parseMoment } from '../events/moment.ts';
import { ChainFault, link } from '../log/chain.ts';
import type { StoredEntry } from '../log/port.ts';
import { createFolderOf } from '../log/sqlite/folder.ts';
import { SqliteLedger } from '../log/sqlite/ledger.ts';
import { MACHINE_VERSION } from '../machines/version.ts';
import { asOf } from '../projections/as-of.ts';
import { rebuild } from '../projections/rebuild.ts';
import { directory } from '../projections/directory.ts';
import { brokenTables, PROJECTION_VERSION, projectionVersion } from '../projections/schema.ts';

/** Opens an embedded ledger file for a command, to read its projections or to write. */

export const DEFAULT_FILE = '.landfall/ledger.db';
export const DEMO_FILE = '.landfall/demo.db';

const PROJECTIONS = [new URL(`../projections/inline-projection${extname(import.meta.url)}`, import.meta.url).href];

export type Reading = { ledger: SqliteLedger; db: DatabaseSync };

/** Runs `work` on a ledger opened for reading and closes the ledger afterwards. */
export async function withLedger<T>(file: string, work: (reading: Reading) => Promise<T> | T): Promise<T> {
  return withReadOnlyLedger(file, (now) => {
    requireProjections(now.db);
    return work(now);
  });
}

/** Works like withLedger but accepts broken projections, for commands that check them. */
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
    'Check --db and LANDFALL_DB. landfall ingest creates a ledger; landfall demo creates an example.',
  );
}

function requireProjections(db: DatabaseSync): void {
  const version = projectionVersion(db);
  const broken = brokenTables(db);
  if (version === PROJECTION_VERSION && broken.length === 0) return;
  const what =
    version === null || broken.length > 0
      ? 'are missing or incomplete'
      : `were written by another version (${version}, this is ${PROJECTION_VERSION})`;
  throw new Fault(
    'PROJECTIONS_MISSING',
    `the projections ${what}`,
    'Run landfall rebuild to rebuild them from the ledger.',
  );
}

/** Works like withLedger at a past time: it folds the projections up to that time in memory. */
export async function withLedgerAsOf<T>(
  file: string,
  atMs: number | undefined,
  work: (reading: Reading) => Promise<T> | T,
): Promise<T> {
  return withLedger(file, async (now) => {
    if (atMs === undefined) return work(now);
    // A past state is folded from the entries, so altered entries must be rejected first.
    await now.ledger.verify();
    const db = await asOf(now.ledger, now.ledger.partition, atMs);
    try {
      return await work({ ledger: now.ledger, db });
    } finally {
      db.close();
    }
  });
}

/** Yields entries whose hash matches their text. @throws ChainFault for an altered entry. */
export async function* verifiedEntries(entries: AsyncIterable<StoredEntry>): AsyncGenerator<StoredEntry> {
  for await (const stored of entries) {
    if (link(stored.previous, stored.text) !== stored.hash)
      throw new ChainFault(stored, 'altered', 'its text and its hash do not belong together');
    yield stored;
  }
}

/** Runs `work` as the only writer of a ledger file. All decisions are committed when this resolves. */
export async function withWriter<T>(
  file: string,
  work: (driver: Driver, ledger: SqliteLedger) => Promise<T>,
  verifyOnOpen = true,
): Promise<T> {
  createFolderOf(file);
  const ledger = await SqliteLedger.open({
    file,
    mode: 'write',
    projections: PROJECTIONS,
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

/** Rebuilds the projections of a ledger file, as its only writer. @returns the number of entries folded. */
export async function rebuildFile(file: string): Promise<number> {
  requireFile(file);
  const ledger = await SqliteLedger.open({
    file,
    mode: 'write',
    projections: PROJECTIONS,
    forRebuild: true,
    machineVersion: MACHINE_VERSION,
  });
  try {
    return await rebuild(ledger);
  } finally {
    await ledger.close();
  }
}

/** Parses a time that a user typed or copied. Returns milliseconds since the epoch. @throws Fault BAD_TIME. */
export function parseTime(text: string): number {
  const ms = parseMoment(text);
  if (ms !== null) return ms;
  throw new Fault(
    'BAD_TIME',
    `--at: ${JSON.stringify(text)} is not a time`,
    'Write it as 2026-11-23T02:14:00Z, or in milliseconds since the epoch.',
  );
}
