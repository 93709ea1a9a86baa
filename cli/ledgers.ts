import { mkdirSync } from 'node:fs';
import { dirname, extname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Driver } from '../consumers/driver.ts';
import { Fault } from '../events/fault.ts';
import { SqliteLedger } from '../log/sqlite/ledger.ts';
import { MACHINE_VERSION } from '../machines/version.ts';
import { asOf } from '../projections/as-of.ts';
import { rebuild } from '../projections/rebuild.ts';
import { directory } from '../projections/directory.ts';

/** Opens the embedded ledger for a command: to read it with its projections, or to drive it. */

export const DEFAULT_FILE = '.landfall/ledger.db';
export const DEMO_FILE = '.landfall/demo.db';

const FOLLOWERS = [new URL(`../projections/follow${extname(import.meta.url)}`, import.meta.url).href];

export type Reading = { ledger: SqliteLedger; db: DatabaseSync };

/** Runs `work` on a ledger opened for reading, and closes it whatever happens. */
export async function reading<T>(file: string, work: (reading: Reading) => Promise<T> | T): Promise<T> {
  const ledger = await SqliteLedger.open({ file, mode: 'read', machineVersion: MACHINE_VERSION });
  try {
    return await work({ ledger, db: ledger.readConnection() });
  } finally {
    await ledger.close();
  }
}

/** The same as of a moment in the past: the projections are folded anew up to it, in memory. */
export async function readingAt<T>(
  file: string,
  atMs: number | undefined,
  work: (reading: Reading) => Promise<T> | T,
): Promise<T> {
  return reading(file, async (now) => {
    if (atMs === undefined) return work(now);
    const db = await asOf(now.ledger, 0, atMs);
    try {
      return await work({ ledger: now.ledger, db });
    } finally {
      db.close();
    }
  });
}

/** Runs `work` as the one writer of a ledger. What it decided is committed before this returns. */
export async function driving<T>(
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
export async function rebuilding(file: string): Promise<number> {
  // Opened as the one writer, so that nobody folds entries in meanwhile.
  const ledger = await SqliteLedger.open({ file, mode: 'write', machineVersion: MACHINE_VERSION });
  const db = new DatabaseSync(file);
  try {
    return await rebuild(ledger, db);
  } finally {
    db.close();
    await ledger.close();
  }
}

/** A moment as the user types it: ISO 8601, or milliseconds since the epoch. */
export function parseTime(text: string): number {
  const ms = /^\d{12,}$/.test(text) ? Number(text) : Date.parse(text);
  if (Number.isNaN(ms))
    throw new Fault('BAD_TIME', `--at: ${JSON.stringify(text)} is not a time`, 'Write it as 2026-11-23T02:14:00Z.');
  return ms;
}
