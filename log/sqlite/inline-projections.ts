import type { DatabaseSync } from 'node:sqlite';
import type { Entry } from '../../events/entries.ts';
import { Fault, messageOf } from '../../events/fault.ts';

/** Keeps tables of its own in the ledger file, in the transaction that appends the entries. */
export type InlineProjection<Extract = unknown> = {
  /** @param before the sequence of the last entry before the batch. */
  apply(before: number, extract: Extract): void;
  /** Called before each COMMIT, to write rows that `apply` buffered. */
  flush?(): void;
};

/** The exports of a module that implements an inline projection. */
export type InlineProjectionModule = {
  /**
   * Returns the data that the projection needs from a batch. The main thread calls it, because it holds the parsed entries,
   * and sends the result to the writer thread; flat plain data is cheapest to send.
   */
  extract(entries: readonly Entry[]): unknown;
  /** Creates the tables or brings them up to date. The writer calls it in a transaction each time it opens the file. */
  prepare(db: DatabaseSync, partition: number): void;
  /** Creates the tables if they are missing, and empties them for a rebuild. */
  reset(db: DatabaseSync): void;
  /** Called again after each rollback, so the projection must not share state in memory between two calls. */
  open(db: DatabaseSync, partition: number): InlineProjection;
};

/** @throws Fault LEDGER_FAILED if a module lacks one of the exports. */
export async function importProjections(urls: readonly string[]): Promise<InlineProjectionModule[]> {
  const modules: InlineProjectionModule[] = [];
  for (const url of urls) {
    const module: unknown = await import(url);
    if (!isInlineProjectionModule(module)) {
      throw new Fault(
        'LEDGER_FAILED',
        `${url} is not an inline projection`,
        'It must export the functions extract, prepare, reset and open.',
      );
    }
    modules.push(module);
  }
  return modules;
}

/** @throws Fault LEDGER_FAILED if a projection fails; the file is unchanged then. */
export function prepareProjections(
  db: DatabaseSync,
  modules: readonly InlineProjectionModule[],
  partition: number,
): void {
  if (modules.length === 0) return;
  db.exec('BEGIN IMMEDIATE');
  try {
    for (const module of modules) module.prepare(db, partition);
    db.exec('COMMIT');
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK');
    throw new Fault('LEDGER_FAILED', `a projection of the ledger failed: ${messageOf(error)}`, 'See the cause.', error);
  }
}

function isInlineProjectionModule(module: unknown): module is InlineProjectionModule {
  if (typeof module !== 'object' || module === null) return false;
  const exported = new Map(Object.entries(module));
  return ['extract', 'prepare', 'reset', 'open'].every((name) => typeof exported.get(name) === 'function');
}
