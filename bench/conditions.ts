import { readFileSync, statfsSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';

/** The conditions of a benchmark run: machine, versions, load and disk. A figure is only comparable under equal conditions. */

export type Conditions = {
  readonly date: string;
  readonly node: string;
  readonly sqlite: string;
  readonly processor: string;
  readonly cores: number;
  readonly memoryGib: number;
  /** File system and device of the folder that contains the ledgers. */
  readonly disk: string;
  readonly diskFreeGib: number;
  readonly durability: string;
  /** The load averages over 1, 5 and 15 minutes. */
  readonly loadAtStart: readonly number[];
  readonly loadAtEnd: readonly number[];
};

const MIB = 2 ** 20;

export function conditionsAtStart(folder: string): Omit<Conditions, 'loadAtEnd'> {
  const { bavail, bsize } = statfsSync(folder);
  return {
    date: new Date().toISOString(),
    node: process.version,
    sqlite: process.versions.sqlite ?? 'unknown',
    processor: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryGib: rounded(totalmem() / MIB / 1024),
    disk: diskOf(folder),
    diskFreeGib: rounded((bavail * bsize) / MIB / 1024),
    durability: 'journal_mode=WAL, synchronous=FULL: every COMMIT is flushed before it is acknowledged',
    loadAtStart: loadavg().map(rounded),
  };
}

export function conditionsAtEnd(start: Omit<Conditions, 'loadAtEnd'>): Conditions {
  return { ...start, loadAtEnd: loadavg().map(rounded) };
}

export function conditionsText(conditions: Conditions): string {
  const { date, node, sqlite, processor, cores, memoryGib, disk, diskFreeGib } = conditions;
  return [
    `${date}, node ${node}, SQLite ${sqlite}`,
    `${cores} cores (${processor}), ${memoryGib} GiB; ledgers on ${disk}, ${diskFreeGib} GiB free`,
    conditions.durability,
    `load average at start ${conditions.loadAtStart.join(' ')}, at end ${conditions.loadAtEnd.join(' ')}`,
    'each benchmark in a process of its own; caches of the file system warm',
  ].join('\n');
}

/** Returns the mount of a folder: the longest mount point that is a prefix of the folder's path. */
function diskOf(folder: string): string {
  try {
    const mounts = readFileSync('/proc/mounts', 'utf8')
      .split('\n')
      .map((line) => line.split(' '))
      .filter(([, point]) => point !== undefined && (folder === point || folder.startsWith(point.replace(/\/?$/, '/'))))
      .toSorted(([, a = ''], [, b = '']) => b.length - a.length);
    const [device, , type] = mounts[0] ?? [];
    return type === undefined ? folder : `${type} on ${device}`;
  } catch {
    return folder;
  }
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}
