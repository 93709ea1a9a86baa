import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { LabError } from './errors.ts';
import { allPids, bootId, mountNamespaceOf, procFile, signalProcess, statOf } from './processes.ts';

const PREFIX = 'landfall-lab-';
const RECORD = 'processes.json';

/** A folder without a record belongs to a lab that is being created, until it reaches this age. */
const UNRECORDED_AGE_MS = 60_000;
const KILL_LIMIT_MS = 10_000;

type Recorded = { readonly what: string; readonly pid: number; readonly startTime: string };
type RecordFile = { readonly bootId: string; readonly processes: readonly Recorded[] };

/**
 * The folder of one lab. It records the runner and every process that the runner starts, so that a later run can remove what a
 * killed runner left. QEMU is started by libvirtd; it is found by its mount namespace, which contains bind mounts of this folder.
 */
export class LabFolder {
  readonly path: string;
  readonly #recorded: Recorded[] = [];

  constructor() {
    this.path = mkdtempSync(join(realpathSync(tmpdir()), PREFIX));
    this.record('runner', process.pid);
  }

  record(what: string, pid: number | undefined): void {
    const startTime = pid === undefined ? undefined : statOf(pid)?.startTime;
    if (pid === undefined || startTime === undefined) return;
    this.#recorded.push({ what, pid, startTime });
    const file: RecordFile = { bootId: bootId(), processes: this.#recorded };
    writeFileSync(join(this.path, RECORD), JSON.stringify(file, undefined, 1));
  }

  /** Kills every process of the lab and removes the folder. Namespaces and mounts end with their last process. */
  async remove(): Promise<void> {
    await removeFolder(this.path, this.#recorded);
  }
}

/** Returns the processes whose mount namespace contains a bind mount from the folder of a lab. */
export function processesOf(folder: string): number[] {
  const own = mountNamespaceOf('self');
  const mark = `/${basename(folder)}/`;
  return allPids().filter((pid) => {
    const namespace = mountNamespaceOf(pid);
    if (namespace === undefined || namespace === own) return false;
    const mounts = procFile(pid, 'mountinfo') ?? '';
    return mounts.split('\n').some((line) => line.split(' ')[3]?.includes(mark));
  });
}

/** Removes the folders and processes of labs whose runner has ended. Returns the removed folders. */
export async function cleanLeftovers(): Promise<string[]> {
  const parent = realpathSync(tmpdir());
  const folders = readdirSync(parent)
    .filter((name) => name.startsWith(PREFIX))
    .map((name) => join(parent, name))
    .filter(isLeftover);
  for (const folder of folders) await removeFolder(folder, recordedIn(folder));
  return folders;
}

function isLeftover(folder: string): boolean {
  if (!existsSync(join(folder, RECORD))) return Date.now() - statSync(folder).mtimeMs > UNRECORDED_AGE_MS;
  const runner = recordedIn(folder).find(({ what }) => what === 'runner');
  return runner === undefined || !isAlive(runner);
}

/** Returns the recorded processes of a folder. The list is empty after a reboot, because no such process is alive. */
function recordedIn(folder: string): readonly Recorded[] {
  try {
    const file = JSON.parse(readFileSync(join(folder, RECORD), 'utf8')) as RecordFile;
    return file.bootId === bootId() ? file.processes : [];
  } catch {
    return [];
  }
}

function isAlive({ pid, startTime }: Recorded): boolean {
  const stat = statOf(pid);
  return stat !== undefined && stat.startTime === startTime && stat.state !== 'Z';
}

async function removeFolder(folder: string, recorded: readonly Recorded[]): Promise<void> {
  for (const each of recorded) {
    if (each.what !== 'runner' && isAlive(each)) signalProcess(each.pid, 'SIGKILL');
  }
  const end = performance.now() + KILL_LIMIT_MS;
  for (let left = processesOf(folder); left.length > 0; left = processesOf(folder)) {
    if (performance.now() > end) {
      throw new LabError(
        'LAB_NOT_STOPPED',
        `Processes ${left.join(', ')} of ${folder} do not end.`,
        'Kill them as root.',
      );
    }
    for (const pid of left) signalProcess(pid, 'SIGKILL');
    await sleep(20);
  }
  rmSync(folder, { recursive: true, force: true });
}
