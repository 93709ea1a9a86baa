import type { DatabaseSync } from 'node:sqlite';
import type { Entry } from '../../events/entries.ts';
import { Fault, messageOf } from '../../events/fault.ts';

/** Keeps tables of its own in the ledger's file, in the very transaction that appends the entries. */
export type Follower<Extract = unknown> = {
  /** `before`: the sequence of the last entry before the batch. */
  apply(before: number, extract: Extract): void;
  /** Before each COMMIT: what was held back is written. */
  flush?(): void;
};

/** What a follower's module exports. */
export type FollowerModule = {
  /**
   * What a follower needs of a batch. It is worked out where the entries are at hand and goes to the writer beside their
   * texts, which then need not be parsed: plain data, the flatter the cheaper.
   */
  extract(entries: readonly Entry[]): unknown;
  /** Creates or brings up to date its tables; inside a transaction, each time a writer opens the file. */
  prepare(db: DatabaseSync): void;
  /** Called anew after a rollback, so that nothing it holds in memory outlives what the file forgot. */
  follow(db: DatabaseSync): Follower;
};

export async function importFollowers(urls: readonly string[]): Promise<FollowerModule[]> {
  const modules: FollowerModule[] = [];
  for (const url of urls) {
    const module: unknown = await import(url);
    if (!isFollowerModule(module)) {
      throw new Fault(
        'LEDGER_FAILED',
        `${url} is no follower`,
        'It must export extract(entries), prepare(db) and follow(db).',
      );
    }
    modules.push(module);
  }
  return modules;
}

export function prepareFollowers(db: DatabaseSync, modules: readonly FollowerModule[]): void {
  if (modules.length === 0) return;
  db.exec('BEGIN IMMEDIATE');
  try {
    for (const module of modules) module.prepare(db);
    db.exec('COMMIT');
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK');
    throw new Fault('LEDGER_FAILED', `a follower of the ledger failed: ${messageOf(error)}`, 'See the cause.', error);
  }
}

function isFollowerModule(module: unknown): module is FollowerModule {
  if (typeof module !== 'object' || module === null) return false;
  return (
    'extract' in module &&
    typeof module.extract === 'function' &&
    'prepare' in module &&
    typeof module.prepare === 'function' &&
    'follow' in module &&
    typeof module.follow === 'function'
  );
}
