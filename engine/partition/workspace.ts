import { type Configuration, forAttempt } from '../../events/configuration.ts';
import type { Cause, Entry, Timers } from '../../events/entries.ts';
import { ENTRY_VERSION } from '../../events/entry-version.ts';
import type { Attempt } from '../../events/attempt.ts';
import type { Fault } from '../../events/fault.ts';
import type { HostRecord, VmRecord } from '../../events/records.ts';
import type { Stimulus } from '../../machines/fold.ts';
import type { StepContext } from '../../machines/round.ts';
import { type Stepped, step } from '../../machines/step.ts';
import { applyAttempt, isOver } from '../../machines/vm.ts';
import { AttemptCache } from './attempt-cache.ts';
import type { Directory } from '../../log/directory.ts';
import { RecordCache } from './record-cache.ts';
import { Timetable } from './timetable.ts';

/**
 * The working memory of a partition: open attempts, VM records, hosts, and the entries decided since the last batch. Entry times
 * never decrease on a clock (invariant 8).
 */

/** The time of a decision, and the clock it belongs to: `wall` for the live site, or one recording. */
export type Moment = { now: number; clock: string };
type EntryParts = Partial<
  Pick<Entry, 'attempt' | 'timers' | 'verdict' | 'host' | 'configuration' | 'questions' | 'commands' | 'refusal'>
>;

/** The number of durable attempts and VM records that stay in memory; older ones are loaded from the directory again. */
export type CacheLimits = { readonly attempts: number; readonly records: number };

const CACHE_LIMITS: CacheLimits = { attempts: 2048, records: 2048 };

export class Workspace {
  readonly #hosts = new Map<string, HostRecord>();
  /** The names of the fenced hosts, which are few: most steps need no look at the hosts. */
  readonly #fenced = new Set<string>();
  /** The results of `knownHosts` by clock and cluster, cached because every poll of every attempt needs one. */
  readonly #neighbours = new Map<string, string[]>();
  readonly timetable = new Timetable();
  readonly attempts: AttemptCache;
  readonly records: RecordCache;
  configuration: Configuration;
  /** True if an entry of this batch has a question or a command. */
  hasOutgoing = false;
  readonly #times = new Map<string, number>();
  #entries: Entry[] = [];
  #epoch = 0;

  constructor(directory: Directory, limits: CacheLimits = CACHE_LIMITS) {
    this.configuration = directory.configuration();
    for (const host of directory.hosts()) this.setHost(host);
    for (const [clock, time] of directory.times()) this.#times.set(clock, time);
    this.attempts = new AttemptCache(directory, limits.attempts);
    this.records = new RecordCache(directory, limits.records);
    for (const { migration, clock, ends, timers } of directory.deadlines()) {
      this.attempts.index({ migration, clock, ends });
      this.timetable.set({ migration, clock }, {}, timers);
    }
  }

  get pending(): readonly Entry[] {
    return this.#entries;
  }

  /** Returns the entries decided since the last call. The caller calls `committed` once they are durable. */
  drain(): { entries: Entry[]; committed: () => void } {
    const entries = this.#entries;
    const epoch = this.#epoch;
    this.#epoch += 1;
    this.#entries = [];
    this.hasOutgoing = false;
    return { entries, committed: () => this.#release(entries, epoch) };
  }

  /** Lets the caches evict what these durable entries changed. */
  #release(entries: readonly Entry[], epoch: number): void {
    for (const { vm, attempt } of entries) {
      if (attempt !== null) this.attempts.committed(attempt.attempt.migration, epoch);
      if (vm !== null) this.records.committed(vm, epoch);
    }
    this.attempts.evict();
    this.records.evict();
  }

  get hosts(): ReadonlyMap<string, HostRecord> {
    return this.#hosts;
  }

  setHost(host: HostRecord): void {
    this.#hosts.set(host.host, host);
    if (host.fenced === true) this.#fenced.add(host.host);
    else this.#fenced.delete(host.host);
    this.#neighbours.clear();
  }

  /** Returns the record of a host on a clock. A host of the same name in another recording is a different host. */
  host(host: string | null, clock: string): HostRecord | undefined {
    const record = host === null ? undefined : this.#hosts.get(host);
    return record?.clock === clock ? record : undefined;
  }

  /** Returns the time of the next entry: now, or the time of the last entry on the clock if that is later. */
  time({ now, clock }: Moment): number {
    const time = Math.max(this.#times.get(clock) ?? 0, now);
    this.#times.set(clock, time);
    return time;
  }

  /** Steps an attempt and writes its entry; `quiet` writes no entry if nothing changed. Returns whether an entry was written. */
  step(migration: string, stimulus: Stimulus, cause: Cause, moment: Moment, quiet?: 'quiet'): boolean {
    const loaded = this.attempts.open(migration);
    if (loaded === null) return false;
    const record = this.records.get(loaded.state.attempt.vm);
    const stepped = step(loaded.state, loaded.timers, stimulus, {
      now: this.time(moment),
      nextToken: record.token + 1,
      ...this.#fencingOf(loaded.state.attempt, moment.clock),
    });
    if (stepped.unchanged) this.attempts.closeIfSettled(migration);
    if (stepped.unchanged && quiet === 'quiet') return false;
    if (stepped.unchanged) this.write(record.vm, cause, moment, {});
    else this.keep(stepped, loaded.timers, record, cause, moment);
    return true;
  }

  /** Returns nothing if no host is fenced and none was when the attempt was stepped last: there is nothing to compare then. */
  #fencingOf({ fencedHosts }: Attempt, clock: string): Partial<Pick<StepContext, 'isFenced'>> {
    if (this.#fenced.size === 0 && fencedHosts === undefined) return {};
    return { isFenced: (host) => this.#fenced.has(host) && this.host(host, clock) !== undefined };
  }

  /** Stores a stepped attempt, its timers and its VM record, and writes the entry. */
  keep(stepped: Stepped, timersBefore: Timers, record: VmRecord, cause: Cause, moment: Moment): void {
    const { state, timers, verdict } = stepped;
    const { attempt } = state;
    const next = applyAttempt(record, state, verdict, (host) => this.host(host, moment.clock));
    this.records.set(next);
    this.attempts.set({ state, timers }, this.#epoch);
    this.timetable.set(attempt, timersBefore, isOver(state) ? {} : timers);
    this.write(next.vm, cause, moment, {
      attempt: state,
      timers,
      verdict: verdict?.number ?? null,
      questions: stepped.questions,
      commands: stepped.commands,
    });
    // Only an attempt that moves the locks itself may end the lock steps of an earlier attempt.
    const movesLocks = attempt.steps.some(({ kind }) => kind === 'acquire-lock');
    if (verdict !== null && !verdict.contested && movesLocks) this.#endEarlier(next, attempt, cause, moment);
  }

  /** Supersedes the VM's older open attempts after a newer attempt's verdict; their lock tokens are outdated. */
  #endEarlier(record: VmRecord, by: Attempt, cause: Cause, moment: Moment): void {
    if (record.lastMigration !== by.migration) return;
    const earlier = this.openOf(record, moment.clock).filter((other) => other !== by.migration);
    earlier.forEach((other, index) => {
      const loaded = this.attempts.open(other);
      if (loaded !== null)
        this.step(other, this.supersession(by, loaded.state.attempt), partOf(cause, index + 1), moment);
    });
  }

  /** Returns the VM's open attempts on this clock. Inputs never affect an attempt of another clock. */
  openOf({ open }: VmRecord, clock: string): string[] {
    return open.filter((migration) => this.attempts.open(migration)?.state.attempt.clock === clock);
  }

  supersession(
    by: Pick<Attempt, 'migration' | 'source'>,
    { source, clock }: Pick<Attempt, 'source' | 'clock'>,
  ): Stimulus {
    const knownHosts = this.knownHosts(clock, source);
    return {
      type: 'superseded',
      by: by.migration,
      source: by.source,
      configuration: forAttempt(this.configuration),
      knownHosts,
    };
  }

  /**
   * Returns the hosts of a clock that a guest of `source` could be on: the hosts of its cluster, and hosts of unknown
   * cluster.
   */
  knownHosts(clock: string, source: string): readonly string[] {
    const cluster = this.host(source, clock)?.cluster ?? null;
    const key = JSON.stringify([clock, cluster]);
    const neighbours = this.#neighbours.get(key) ?? this.#neighboursOf(clock, cluster);
    this.#neighbours.set(key, neighbours);
    return neighbours;
  }

  #neighboursOf(clock: string, cluster: string | null): string[] {
    return [...this.#hosts.values()]
      .filter((host) => host.clock === clock && (cluster === null || host.cluster === null || host.cluster === cluster))
      .map(({ host }) => host);
  }

  refuse(vm: string | null, fault: Fault, cause: Cause, moment: Moment): void {
    const { code, message, remedy } = fault;
    this.write(vm, cause, moment, { refusal: { code, message, remedy } });
  }

  write(vm: string | null, cause: Cause, moment: Moment, parts: EntryParts): void {
    if ((parts.questions?.length ?? 0) > 0 || (parts.commands?.length ?? 0) > 0) this.hasOutgoing = true;
    this.#entries.push({
      v: ENTRY_VERSION,
      time: this.time(moment),
      clock: moment.clock,
      vm,
      cause,
      attempt: parts.attempt ?? null,
      timers: parts.timers ?? {},
      verdict: parts.verdict ?? null,
      record: vm === null ? null : this.records.write(vm, this.#epoch),
      host: parts.host ?? null,
      configuration: parts.configuration ?? null,
      questions: parts.questions ?? [],
      commands: parts.commands ?? [],
      refusal: parts.refusal ?? null,
    });
  }
}

/** Returns the cause of an input's entry number `part`; the first entry has part 0. */
export function partOf(cause: Cause, part: number): Cause {
  return cause.kind === 'input' && part > 0 ? { ...cause, part } : cause;
}
