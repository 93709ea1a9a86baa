import { FileLock } from './file-lock.ts';
import { WriterLock } from './writer-lock.ts';

/**
 * Both locks of the process that writes a ledger file: the lock of its path, which names the holder, and the lock of the file, which
 * also works under another path.
 */
export class Locks {
  readonly #path: WriterLock;
  readonly #file: FileLock;

  private constructor(path: WriterLock, file: FileLock) {
    this.#path = path;
    this.#file = file;
  }

  /** @throws Fault LEDGER_BUSY, LEDGER_… */
  static acquire(file: string): Locks {
    const path = WriterLock.acquire(file);
    try {
      return new Locks(path, FileLock.acquire(file));
    } catch (error) {
      path.release();
      throw error;
    }
  }

  /** Must be called after SQLite has closed the file. */
  release(): void {
    this.#file.release();
    this.#path.release();
  }
}
