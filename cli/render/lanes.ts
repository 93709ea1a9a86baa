import type { TimelineItem } from '../../projections/timeline.ts';

/** What each lane of a history shows at each moment: the guest on every host, and who holds the lock. */

export type Guest = 'running' | 'paused' | 'shell' | 'absent' | 'silent' | 'unseen';

export const symbols: Readonly<Record<Guest, string>> = {
  running: '●',
  paused: '◐',
  shell: '◌',
  absent: '○',
  silent: '?',
  unseen: '·',
};

/** How a lane goes on until somebody says otherwise. */
export const strokes: Readonly<Record<Guest, string>> = {
  running: '┃',
  paused: '│',
  shell: '┊',
  absent: ' ',
  silent: ' ',
  unseen: ' ',
};

/** libvirt's lifecycle events that say what a guest does from then on. */
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

/** What an item says of the guest on its host; null: nothing. */
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

/** Who holds the lock of every volume heard of, in one word. */
export class LockLane {
  readonly #holders = new Map<string, string>();

  /** @returns the word where it changed, else null. */
  take({ kind, host, text }: Pick<TimelineItem, 'kind' | 'host' | 'text'>): string | null {
    if (kind !== 'holders') return null;
    const before = this.word;
    const volume = text.split(': held by ')[0] ?? '';
    this.#holders.set(volume, host ?? (text.endsWith('held by nobody') ? 'nobody' : 'several'));
    return this.word === before ? null : this.word;
  }

  get word(): string | null {
    const words = new Set(this.#holders.values());
    return words.size > 1 ? 'mixed' : ([...words][0] ?? null);
  }
}

/** The hosts that get a lane: every one the guest was asked about, in the order of its first migration's direction. */
export function laneHosts(items: readonly TimelineItem[]): string[] {
  const hosts = new Set<string>();
  for (const lane of ['source', 'destination', 'other'] as const) {
    for (const item of items) if (item.lane === lane && item.host !== null) hosts.add(item.host);
  }
  return [...hosts];
}
