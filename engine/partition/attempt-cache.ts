import type { AttemptState } from '../../events/attempt.ts';
import type { Timers } from '../../events/entries.ts';
import { isOver } from '../../machines/vm.ts';
import type { Directory } from '../../log/directory.ts';

export type LoadedAttempt = { state: AttemptState; timers: Timers };
/** `epoch` is the batch that changed the attempt; null once the batch is durable and the directory has the state too. */
type Cached = { attempt: LoadedAttempt; epoch: number | null };

type Indexed = { migration: string; clock: string; ends: readonly string[] };

/**
 * The attempts of a partition. All open attempts are in an index; states are cached until they are durable, and after that
 * while there is room. Evicted attempts are loaded from the directory.
 */
export class AttemptCache {
  readonly #directory: Directory;
  readonly #limit: number;
  readonly #cached = new Map<string, Cached>();
  /** The open attempts by clock and by the hosts at their ends. */
  readonly #byHost = new Map<string, Set<string>>();
  readonly #open = new Set<string>();

  /** @param limit the number of durable attempts that stay in memory. */
  constructor(directory: Directory, limit: number) {
    this.#directory = directory;
    this.#limit = limit;
  }

  get openCount(): number {
    return this.#open.size;
  }

  /** The number of attempts in memory. */
  get cachedCount(): number {
    return this.#cached.size;
  }

  /** Adds an open attempt of the directory to the index. */
  index({ migration, clock, ends }: Indexed): void {
    this.#open.add(migration);
    for (const host of ends) this.#on(clock, host).add(migration);
  }

  /** Opens a settled attempt again. */
  reopen({ state }: LoadedAttempt): void {
    this.index(indexed(state));
  }

  /** Returns an attempt in any state and caches it; null if it is unknown. */
  find(migration: string): LoadedAttempt | null {
    const attempt = this.peek(migration);
    if (attempt !== null && !this.#cached.has(migration)) this.#cache(migration, { attempt, epoch: null });
    return attempt;
  }

  /** Returns an attempt in any state without caching it; null if it is unknown. */
  peek(migration: string): LoadedAttempt | null {
    return this.#cached.get(migration)?.attempt ?? this.#directory.attempt(migration);
  }

  /** Returns an attempt that is not settled; null if there is none. */
  open(migration: string): LoadedAttempt | null {
    return this.#open.has(migration) ? this.find(migration) : null;
  }

  openIds(): Iterable<string> {
    return this.#open;
  }

  /**
   * Returns the open attempts of a clock with this host at one end, sorted by id. The index order differs between a run and its
   * restart, whereas the same inputs must write the same ledger.
   */
  openOn(clock: string, host: string): string[] {
    return [...this.#on(clock, host)].toSorted();
  }

  /** Caches a new state that was decided in this batch. */
  set(attempt: LoadedAttempt, epoch: number): void {
    const { migration } = attempt.state.attempt;
    this.#cache(migration, { attempt, epoch });
    if (isOver(attempt.state)) this.#close(attempt);
    else if (!this.#open.has(migration)) this.index(indexed(attempt.state));
  }

  /** Removes a reopened attempt from the index if it is still settled. */
  closeIfSettled(migration: string): void {
    const attempt = this.find(migration);
    if (attempt !== null && isOver(attempt.state)) this.#close(attempt);
  }

  #close({ state }: LoadedAttempt): void {
    const { migration, clock, ends } = indexed(state);
    this.#open.delete(migration);
    for (const host of ends) this.#on(clock, host).delete(migration);
  }

  /**
   * Called when a batch is durable: the state of the attempt may then be evicted, unless a later batch has changed the
   * attempt.
   */
  committed(migration: string, epoch: number): void {
    const cached = this.#cached.get(migration);
    if (cached?.epoch === epoch) cached.epoch = null;
  }

  /** Evicts the oldest durable states. Called once per batch, because the scan passes over states that are not durable. */
  evict(): void {
    if (this.#cached.size <= this.#limit) return;
    for (const [migration, { epoch }] of this.#cached) {
      if (this.#cached.size <= this.#limit) return;
      if (epoch === null) this.#cached.delete(migration);
    }
  }

  /** Moves the attempt to the end of the eviction order. */
  #cache(migration: string, cached: Cached): void {
    this.#cached.delete(migration);
    this.#cached.set(migration, cached);
  }

  #on(clock: string, host: string): Set<string> {
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
