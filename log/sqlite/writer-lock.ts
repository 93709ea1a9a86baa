import { DatabaseSync } from 'node:sqlite';
import { Fault } from '../../events/fault.ts';
import { sqliteFault } from './faults.ts';

/** Two that start at the same moment wait this long for each other. */
const TIMEOUT_MS = 250;
const BUSY = 5;

/**
 * The right to write a ledger file, held for as long as its process lives: the kernel frees it with the process, however that
 * ends. It is an open transaction on a tiny SQLite file of its own, because one on the ledger would end with each commit.
 * A transaction that has written nothing yet lets others read: they learn the holder's process id from it.
 */
export class WriterLock {
  readonly #db: DatabaseSync;

  private constructor(db: DatabaseSync) {
    this.#db = db;
  }

  static acquire(file: string): WriterLock {
    const db = new DatabaseSync(`${file}.lock`, { timeout: TIMEOUT_MS });
    try {
      db.exec(`BEGIN EXCLUSIVE; PRAGMA user_version = ${process.pid}; COMMIT; BEGIN IMMEDIATE`);
      return new WriterLock(db);
    } catch (error) {
      const fault = isBusy(error) ? busy(file, holderOf(db)) : sqliteFault(error, `${file}.lock`);
      db.close();
      throw fault;
    }
  }

  release(): void {
    this.#db.close();
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && (Number(error.errcode) & 0xff) === BUSY;
}

function holderOf(db: DatabaseSync): string {
  try {
    if (db.isTransaction) db.exec('ROLLBACK');
    return `process ${Number(db.prepare('PRAGMA user_version').get()?.['user_version'])}`;
  } catch {
    return 'another process';
  }
}

function busy(file: string, holder: string): Fault {
  const who = holder === `process ${process.pid}` ? 'this process already' : holder;
  return new Fault(
    'LEDGER_BUSY',
    `${who} writes ${file}`,
    'Let that one do it (commands take --server URL where a service holds the ledger), or stop it first.',
  );
}
