import type { DatabaseSync } from 'node:sqlite';
import { realpathSync, statSync } from 'node:fs';
import { Fault } from '../../events/fault.ts';

/**
 * The path under which the ledger was last written. SQLite keeps its log beside that path; after a crash the log contains commits that
 * are not in the file yet. A writer that opens the file under another path would miss those commits and overwrite their pages.
 */

const WRITTEN_PATH = 'written-path';

/** Records the path of this writer. @throws Fault LEDGER_BUSY if SQLite's log beside the previous path still contains commits. */
export function recordWrittenPath(db: DatabaseSync, file: string): void {
  const path = realpathSync(file);
  const previous = db.prepare('SELECT value FROM meta WHERE key = ?').get(WRITTEN_PATH)?.['value'];
  if (previous === path) return;
  if (typeof previous === 'string' && hasUnmergedLog(previous, file)) {
    throw new Fault(
      'LEDGER_BUSY',
      `${file} is the same file as ${previous}, and ${previous}-wal contains commits that are not in the file yet`,
      `Open ${previous} once for writing and stop normally; then ${file} can be opened.`,
    );
  }
  db.prepare('INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value').run(WRITTEN_PATH, path);
  // The next writer may see only the file, so the path must be in the file and not only in the log.
  db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
}

/** Returns true if the path leads to the same file (as a hard link or a mount does) and has a log with content. */
function hasUnmergedLog(path: string, file: string): boolean {
  const there = statSync(path, { bigint: true, throwIfNoEntry: false });
  const here = statSync(file, { bigint: true });
  if (there === undefined || there.dev !== here.dev || there.ino !== here.ino) return false;
  return (statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0) > 0;
}
