import type { TimelineItem } from '../../projections/timeline.ts';

/** Computes the lanes of a history: the guest on each host, and the lock holder. */

export type Guest = 'running' | 'paused' | 'shell' | 'absent' | 'silent' | 'unseen';

export const symbols: Readonly<Record<Guest, string>> = {
  running: '●',
  paused: '◐',
  shell: '◌',
  absent: '○',
  silent: '?',
  unseen: '·',
};

/** The symbol of an unchanged lane. */
export const strokes: Readonly<Record<Guest, string>> = {
  running: '┃',
  paused: '│',
  shell: '┊',
  absent: ' ',
  silent: ' ',
  unseen: ' ',
};

/** The guest states after libvirt's lifecycle events. */
const eventGuests: Readonly<Record<string, Guest>> = {
  Started: 'running',
  Resumed: 'running',
  Suspended: 'paused',
  PMSuspended: 'paused',
  Stopped: 'absent',
  Shutdown: 'absent',
  Crashed: 'absent',
  Undefined: 'absent',
};

const SHELL_JOB = /migration statistics are available only on the source host|job: 4\b/;

/** Returns the guest state that an item reports for its host, or null. */
export function guestIn({ kind, text }: Pick<TimelineItem, 'kind' | 'text'>): Guest | null {
  if (kind === 'event') {
    if (text === 'Started (Migrated)') return 'shell';
    return eventGuests[text.split(' ')[0] ?? ''] ?? null;
  }
  if (kind === 'stream') return text.endsWith('lost') ? 'silent' : null;
  if (kind === 'fenced') return 'absent';
  return kind === 'answer' ? guestAnswered(text) : null;
}

function guestAnswered(text: string): Guest {
  if (text.startsWith('no answer') || text.startsWith('could not say')) return 'silent';
  if (text.startsWith('absent') || text.startsWith('shut off')) return 'absent';
  if (text.startsWith('running')) return 'running';
  return SHELL_JOB.test(text) ? 'shell' : 'paused';
}

/** Tracks the lock holder of all volumes as one label. */
export class LockLane {
  readonly #holders = new Map<string, string>();

  /** Returns the label if it changed, otherwise null. */
  take({ kind, host, text }: Pick<TimelineItem, 'kind' | 'host' | 'text'>): string | null {
    if (kind !== 'holders') return null;
    const before = this.label;
    const volume = text.split(': held by ')[0] ?? '';
    this.#holders.set(volume, host ?? (/held by (nobody|none|no host)$/.test(text) ? 'none' : 'several'));
    return this.label === before ? null : this.label;
  }

  get label(): string | null {
    const holders = new Set(this.#holders.values());
    return holders.size > 1 ? 'mixed' : ([...holders][0] ?? null);
  }
}

/** Returns the hosts with a lane, in the direction of the VM's first migration. */
export function laneHosts(items: readonly TimelineItem[]): string[] {
  const hosts = new Set<string>();
  for (const lane of ['source', 'destination', 'other'] as const) {
    for (const item of items) if (item.lane === lane && item.host !== null) hosts.add(item.host);
  }
  return [...hosts];
}
