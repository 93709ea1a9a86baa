import { defaultConfiguration } from '../../events/configuration.ts';
import type { Entry } from '../../events/entries.ts';
import type { HostRecord, VmRecord } from '../../events/records.ts';
import { isOver } from '../../machines/vm.ts';
import type { Directory } from '../../log/directory.ts';
import { link } from '../../log/chain.ts';
import {
  type Batch,
  GENESIS,
  type Head,
  type Identity,
  type Ledger,
  type Owner,
  type StoredEntry,
} from '../../log/port.ts';

type Kept = { state: NonNullable<Entry['attempt']>; timers: Entry['timers'] };

/** The smallest number of entries that a frugal ledger keeps. */
const KEPT_MIN = 5000;

/** A ledger of one partition in memory, for tests of decisions. */
export class MemoryLedger implements Ledger, Directory {
  readonly partitions = 1;
  /** All entries, or the newest entries of a frugal ledger. */
  readonly stored: StoredEntry[] = [];
  readonly #frugal: boolean;
  /** Settled attempts as JSON, so that a partition gets objects of its own. */
  readonly #settled = new Map<string, string>();
  readonly #identities = new Map<string, string>();
  readonly #records = new Map<string, VmRecord>();
  readonly #attempts = new Map<string, Kept>();
  readonly #hosts = new Map<string, HostRecord>();
  readonly #times = new Map<string, number>();
  #configuration = defaultConfiguration;

  /** A `frugal` ledger keeps only its newest entries and stores settled attempts as JSON, for long runs. */
  constructor(how?: 'frugal') {
    this.#frugal = how === 'frugal';
  }

  async claim(): Promise<Owner> {
    return {
      partition: 0,
      claimedHead: this.lastHead,
      inputPositions: new Map(),
      checkpoints: new Map(),
      commit: async ({ entries }: Batch) => {
        this.append(entries);
        return this.lastHead;
      },
      recall: (identities: readonly Identity[]) => this.recall(identities),
      release: async () => {},
    };
  }

  append(entries: readonly Entry[]): void {
    for (const entry of entries) this.#append(entry);
  }

  /** The digests of consumed inputs, and null for other inputs. */
  recall(identities: readonly Identity[]): (string | null)[] {
    return identities.map(({ source, id }) => this.#identities.get(`${source}\n${id}`) ?? null);
  }

  async head(): Promise<Head> {
    return this.lastHead;
  }

  async *read(_partition: number, from: number): AsyncGenerator<StoredEntry> {
    const first = this.stored[0]?.sequence ?? 1;
    yield* this.stored.slice(Math.max(0, from - first));
  }

  async close(): Promise<void> {}

  get entries(): Entry[] {
    return this.stored.map(({ entry }) => entry);
  }

  record(vm: string): VmRecord | null {
    return this.#records.get(vm) ?? null;
  }
  attempt(migration: string) {
    const text = this.#settled.get(migration);
    return text === undefined ? (this.#attempts.get(migration) ?? null) : (JSON.parse(text) as Kept);
  }
  *openAttempts() {
    for (const attempt of this.#attempts.values()) if (!isOver(attempt.state)) yield attempt;
  }
  *deadlines() {
    for (const { state, timers } of this.openAttempts()) {
      const { migration, clock, source, destination } = state.attempt;
      yield { migration, clock, ends: [source, destination], timers };
    }
  }
  hosts() {
    return this.#hosts.values();
  }
  configuration() {
    return this.#configuration;
  }
  times() {
    return this.#times;
  }

  get lastHead(): Head {
    const last = this.stored.at(-1);
    return { sequence: last?.sequence ?? 0, hash: last?.hash ?? GENESIS };
  }

  #append(entry: Entry): void {
    const text = JSON.stringify(entry);
    const { sequence, hash } = this.lastHead;
    this.stored.push({
      partition: 0,
      sequence: sequence + 1,
      previous: hash,
      hash: link(hash, text),
      text,
      entry: JSON.parse(text) as Entry,
    });
    const { cause, attempt, record, host } = entry;
    if (cause.kind !== 'timer') this.#rememberFirst(`${cause.source}\n${cause.id}`, cause.digest);
    if (attempt !== null) this.#keep({ state: attempt, timers: entry.timers });
    if (record !== null) this.#records.set(record.vm, record);
    if (host !== null) this.#hosts.set(host.host, host);
    if (entry.configuration !== null) this.#configuration = entry.configuration;
    this.#times.set(entry.clock, entry.time);
  }

  #keep(kept: Kept): void {
    const { migration } = kept.state.attempt;
    this.#settled.delete(migration);
    if (this.#frugal && isOver(kept.state)) {
      this.#attempts.delete(migration);
      this.#settled.set(migration, JSON.stringify(kept));
    } else this.#attempts.set(migration, kept);
    if (this.#frugal && this.stored.length > 2 * KEPT_MIN) this.stored.splice(0, KEPT_MIN);
  }

  #rememberFirst(key: string, digest: string): void {
    if (!this.#identities.has(key)) this.#identities.set(key, digest);
  }
}
