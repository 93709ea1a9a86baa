import type { GuestShown } from '../../projections/timeline-facts.ts';
import type { TimelineItem } from '../../projections/timeline.ts';

/** Computes the lanes of a history: the guest on each host, and the lock holder. */

export type Guest = GuestShown | 'unseen';

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

/** Tracks the lock holder of all volumes as one label. */
export class LockLane {
  readonly #holders = new Map<string, string>();

  /** Returns the label if it changed, otherwise null. */
  take({ lock }: Pick<TimelineItem, 'lock'>): string | null {
    if (lock === null) return null;
    const before = this.label;
    const [only = 'none', ...others] = lock.holders;
    this.#holders.set(lock.volume, others.length === 0 ? only : 'several');
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
