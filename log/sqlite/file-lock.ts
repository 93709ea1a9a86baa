import { spawnSync } from 'node:child_process';
import { closeSync, constants, openSync, statfsSync } from 'node:fs';
import { Fault } from '../../events/fault.ts';
import { sqliteFault } from './faults.ts';

/** The exit code of `flock --nonblock` if another process has the lock. */
const FLOCK_BUSY = 1;
/** The first descriptor after the standard streams; the program `flock` locks it. */
const DESCRIPTOR = 3;
/**
 * File systems (by the magic numbers of statfs) that turn this lock into a lock of the server. SQLite could then no longer lock the
 * file itself.
 */
const NETWORK_FILE_SYSTEMS: ReadonlySet<number> = new Set([0x6969, 0x517b, 0xfe534d42, 0xff534d42]);

/**
 * The kernel's lock (flock) on the ledger file. It belongs to the file's inode, so it also stops a second writer that opens the file
 * through a hard link, a symbolic link or a bind mount, where the lock file beside the path is another one. Node cannot call
 * flock, so the program `flock` locks an inherited descriptor; the lock lasts until this process closes the descriptor or ends.
 *
 * Without the program, or on a network file system, only the lock file beside the path protects the ledger.
 */
export class FileLock {
  readonly #descriptor: number;

  private constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  /** Creates the file if it is missing, because only an existing file can be locked. @throws Fault LEDGER_BUSY, LEDGER_FAILED. */
  static acquire(file: string): FileLock {
    const descriptor = open(file);
    if (isOnNetwork(file) || lock(descriptor) !== FLOCK_BUSY) return new FileLock(descriptor);
    closeSync(descriptor);
    throw new Fault(
      'LEDGER_BUSY',
      `another process writes the file ${file} under another path (a hard link, a symbolic link or a mount)`,
      `Stop that process first; \`fuser ${file}\` names it.`,
    );
  }

  /** Must be called after SQLite has closed the file: closing any descriptor of a file drops SQLite's own locks of this process. */
  release(): void {
    closeSync(this.#descriptor);
  }
}

function open(file: string): number {
  try {
    return openSync(file, constants.O_RDWR | constants.O_CREAT, 0o644);
  } catch (error) {
    throw sqliteFault(error, file);
  }
}

function lock(descriptor: number): number | null {
  const stdio = ['ignore', 'ignore', 'ignore', descriptor] as const;
  return spawnSync('flock', ['-x', '-n', String(DESCRIPTOR)], { stdio: [...stdio] }).status;
}

function isOnNetwork(file: string): boolean {
  return NETWORK_FILE_SYSTEMS.has(statfsSync(file).type);
}
