import type { Cause, Entry } from '../events/entries.ts';
import type { PeekedEntry } from '../log/entry-text.ts';
import { path } from '../machines/chart.ts';
import { isOver } from '../machines/vm.ts';

/**
 * The cells that entries assign to rows. The main thread computes them from the parsed entries; the writer thread only binds
 * them. Rows are assigned as a whole (invariant 9), so only the last entry of each VM, attempt, host and clock counts.
 */

type Cell = string | number | null;
/** `at` is the sequence of the assigning entry, relative to `before` of the `RowWriter`. */
export type Assigned = readonly [at: number, ...cells: Cell[]];
type AssignedAttempt = readonly [at: number, first: number, ...cells: Cell[]];
export type Touched = {
  readonly vms: readonly Assigned[];
  /** `first` is the entry that began the attempt, relative like `at`; it only counts if the row is new. */
  readonly attempts: readonly AssignedAttempt[];
  readonly hosts: readonly Assigned[];
  readonly configurations: readonly Assigned[];
  readonly deadLetters: readonly Assigned[];
  readonly progress: readonly Assigned[];
};

/** Characters of a malformed input that a list shows; the entry holds more. */
const EXCERPT_LENGTH = 200;

/** An entry that may be parsed lazily. */
type Source = { readonly entry: Entry };
type Latest = { readonly at: number; readonly source: Source };

/** Collects the rows that entries assign, in ledger order. */
export class Touches {
  readonly #vms = new Map<string, Latest>();
  readonly #attempts = new Map<string, Latest & { readonly first: number }>();
  readonly #hosts = new Map<string, Latest>();
  readonly #clocks = new Map<string, { at: number; time: number }>();
  readonly #configurations: Assigned[] = [];
  readonly #deadLetters: Assigned[] = [];

  /** The number of collected rows. */
  get size(): number {
    return (
      this.#vms.size + this.#attempts.size + this.#hosts.size + this.#configurations.length + this.#deadLetters.length
    );
  }

  add(at: number, entry: Entry): void {
    const { clock, time, record, host, attempt, configuration, refusal, cause } = entry;
    const latest = { at, source: { entry } };
    this.#clocks.set(clock, { at, time });
    if (record !== null) this.#vms.set(record.vm, latest);
    if (host !== null) this.#hosts.set(host.host, latest);
    if (attempt !== null) this.#addAttempt(attempt.attempt.migration, at, latest.source);
    if (configuration !== null) this.#configurations.push([at, time, operatorOf(cause), JSON.stringify(configuration)]);
    if (refusal !== null) this.#deadLetters.push(deadLetterOf(at, entry, refusal));
  }

  /** Adds an entry without parsing its text. */
  addPeeked(at: number, { clock, time, vm, migration, hasRecord }: PeekedEntry, source: Source): void {
    this.#clocks.set(clock, { at, time });
    if (hasRecord) this.#vms.set(vm, { at, source });
    this.#addAttempt(migration, at, source);
  }

  touched(): Touched {
    return {
      vms: [...this.#vms.values()].flatMap(assignedVm),
      attempts: [...this.#attempts.values()].flatMap(assignedAttempt),
      hosts: [...this.#hosts.values()].flatMap(assignedHost),
      configurations: this.#configurations,
      deadLetters: this.#deadLetters,
      progress: [...this.#clocks].map(([clock, { at, time }]): Assigned => [at, time, clock]),
    };
  }

  /** Yields the last entry of each attempt with its sequence. */
  *attemptSources(): Generator<Latest> {
    yield* this.#attempts.values();
  }

  #addAttempt(migration: string, at: number, source: Source): void {
    this.#attempts.set(migration, { at, source, first: this.#attempts.get(migration)?.first ?? at });
  }
}

function assignedVm({ at, source: { entry } }: Latest): Assigned[] {
  const { record, time } = entry;
  return record === null ? [] : [[at, time, record.vm, record.name, record.host, JSON.stringify(record)]];
}

function assignedAttempt({ at, first, source: { entry } }: Latest & { readonly first: number }): AssignedAttempt[] {
  const { attempt: state, timers, time } = entry;
  if (state === null) return [];
  const { migration, vm, clock, source, destination, verdicts } = state.attempt;
  const [settled, contested] = [isOver(state) ? 1 : 0, verdicts.at(-1)?.contested === true ? 1 : 0];
  const about = [migration, vm, clock, source, destination, path(state.value)];
  return [[at, first, time, ...about, settled, contested, JSON.stringify(timers)]];
}

function assignedHost({ at, source: { entry } }: Latest): Assigned[] {
  return entry.host === null ? [] : [[at, entry.time, entry.host.host, JSON.stringify(entry.host)]];
}

function deadLetterOf(at: number, { time, vm, cause }: Entry, refusal: NonNullable<Entry['refusal']>): Assigned {
  const { code, message, remedy } = refusal;
  return [at, time, vm, code, message, remedy, cause.kind, ...originOf(cause)];
}

function operatorOf(cause: Cause): string | null {
  if (cause.kind !== 'input' || typeof cause.data !== 'object' || cause.data === null) return null;
  return 'operator' in cause.data && typeof cause.data.operator === 'string' ? cause.data.operator : null;
}

type Origin = [
  type: string | null,
  source: string | null,
  id: string | null,
  stream: string | null,
  offset: number | null,
  excerpt: string | null,
];

function originOf(cause: Cause): Origin {
  switch (cause.kind) {
    case 'input':
      return [cause.type, cause.source, cause.id, cause.stream ?? null, cause.offset ?? null, null];
    case 'malformed':
      return [null, cause.source, cause.id, cause.stream, cause.offset, cause.text.slice(0, EXCERPT_LENGTH)];
    case 'timer':
      return [cause.timer, null, null, null, null, null];
  }
}
