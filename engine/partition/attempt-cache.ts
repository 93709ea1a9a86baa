import type { AttemptState } from '../../events/attempt.ts';
import type { Timers } from '../../events/entries.ts';
import { isOver } from '../../machines/vm.ts';
import type { Directory } from './directory.ts';

export type LoadedAttempt = { state: AttemptState; timers: Timers };
/** `epoch`: the batch that decided it; null once that is durable, and the directory knows it too. */
type Held = { live: LoadedAttempt; epoch: number | null };

type Indexed = { migration: string; clock: string; ends: readonly string[] };

/** How many attempts are kept at hand. The others cost a place in the index and their deadlines, and are read when they matter. */
const HELD_MAX = 2048;

/**
 * The attempts of a partition. Which are open is known of all of them; their states are held while they are not durable, and
 * otherwise as long as there is room.
 */
export class AttemptCache {
  readonly #directory: Directory;
  readonly #held = new Map<string, Held>();
  /** The open ones, by their clock and the hosts at their ends. */
  readonly #byHost = new Map<string, Set<string>>();
  readonly #open = new Set<string>();

  constructor(directory: Directory) {
    this.#directory = directory;
  }

  get openCount(): number {
    return this.#open.size;
  }

  /** Takes note of an open attempt that the directory holds. */
  index({ migration, clock, ends }: Indexed): void {
    this.#open.add(migration);
    for (const host of ends) this.#of(clock, host).add(migration);
  }

  /** A settled attempt is taken up again. */
  reopen({ state }: LoadedAttempt): void {
    this.index(indexed(state));
  }

  /** An attempt in any state. */
  find(migration: string): LoadedAttempt | null {
    const held = this.peek(migration);
    if (held !== null && !this.#held.has(migration)) this.#hold(migration, { live: held, epoch: null });
    return held;
  }

  /** The same, and it is kept at hand no longer than it was. */
  peek(migration: string): LoadedAttempt | null {
    return this.#held.get(migration)?.live ?? this.#directory.attempt(migration);
  }

  /** An attempt that is not settled. */
  open(migration: string): LoadedAttempt | null {
    return this.#open.has(migration) ? this.find(migration) : null;
  }

  openIds(): Iterable<string> {
    return this.#open;
  }

  /**
   * The open attempts of a clock that have the host at one of their ends, as of now. In an order of their own: that in which
   * they were taken up differs between a run and its restart, and the same inputs must write the same ledger.
   */
  openOn(clock: string, host: string): string[] {
    return [...this.#of(clock, host)].toSorted();
  }

  /** Keeps a new state, decided in this batch. */
  set(live: LoadedAttempt, epoch: number): void {
    this.#hold(live.state.attempt.migration, { live, epoch });
    if (isOver(live.state)) this.#close(live);
    else if (!this.#open.has(live.state.attempt.migration)) this.index(indexed(live.state));
  }

  /** An attempt that was taken up in vain is over still. */
  rest(migration: string): void {
    const live = this.find(migration);
    if (live !== null && isOver(live.state)) this.#close(live);
  }

  #close({ state }: LoadedAttempt): void {
    const { migration, clock, ends } = indexed(state);
    this.#open.delete(migration);
    for (const host of ends) this.#of(clock, host).delete(migration);
  }

  /** The batch is durable: what it decided may be forgotten, unless a later one decided it anew. */
  committed(migration: string, epoch: number): void {
    const held = this.#held.get(migration);
    if (held?.epoch === epoch) held.epoch = null;
  }

  /** After all of a batch: it looks at what cannot be forgotten yet as well. */
  makeRoom(): void {
    if (this.#held.size <= HELD_MAX) return;
    for (const [migration, { epoch }] of this.#held) {
      if (this.#held.size <= HELD_MAX) return;
      if (epoch === null) this.#held.delete(migration);
    }
  }

  /** The newest comes last. */
  #hold(migration: string, held: Held): void {
    this.#held.delete(migration);
    this.#held.set(migration, held);
  }

  #of(clock: string, host: string): Set<string> {
    const key = `${clock}\n${host}`;
    const migrations = this.#byHost.get(key) ?? new Set();
    this.#byHost.set(key, migrations);
    return migrations;
  }
}

function indexed({ attempt }: AttemptState): Indexed {
  const { migration, clock, source, destination } = attempt;
  return { migration, clock, ends: [source, destination] };
}
