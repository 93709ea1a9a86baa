import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A small tmpfs mounted for one test, to simulate a full or read-only disk. Mounting needs root. */
export class MountedFolder implements Disposable {
  readonly folder: string;

  constructor(size: string) {
    this.folder = mkdtempSync(join(tmpdir(), 'landfall-mount-'));
    run('mount', '-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', this.folder);
  }

  remount(options: string): void {
    run('mount', '-o', `remount,${options}`, this.folder);
  }

  [Symbol.dispose](): void {
    run('umount', '--lazy', this.folder);
    rmSync(this.folder, { recursive: true });
  }

  static isPossible(): boolean {
    if (process.getuid?.() !== 0) return false;
    try {
      using _folder = new MountedFolder('64k');
      return true;
    } catch {
      return false;
    }
  }
}

/** Mounts a file a second time at `path` until the value is disposed. Mounting needs root. */
export function boundFile(file: string, path: string): Disposable & { readonly path: string } {
  writeFileSync(path, '');
  run('mount', '--bind', file, path);
  return { path, [Symbol.dispose]: () => run('umount', '--lazy', path) };
}

/** Returns a folder that a user other than root cannot write. */
export function lockedFolder(parent: string): string {
  const folder = join(parent, 'locked');
  mkdirSync(folder);
  chmodSync(folder, 0o555);
  return folder;
}

function run(command: string, ...options: string[]): void {
  const { status, stderr } = spawnSync(command, options, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command}: ${stderr}`);
}
