import { type Configuration, forAttempt } from '../../events/configuration.ts';
import type { Cause, Entry, Timers } from '../../events/entries.ts';
import { ENTRY_VERSION } from '../../events/entry-version.ts';
import type { Attempt } from '../../events/attempt.ts';
import type { Fault } from '../../events/fault.ts';
import type { HostRecord, VmRecord } from '../../events/records.ts';
import type { Stimulus } from '../../machines/fold.ts';
import { type Stepped, step } from '../../machines/step.ts';
import { applyAttempt, isOver, unknownVm } from '../../machines/vm.ts';
import { AttemptCache } from './attempt-cache.ts';
import type { Directory } from './directory.ts';
import { Timetable } from './timetable.ts';

/**
 * What a partition knows while it decides: the open attempts, the records at hand, and the entries decided since the last
 * batch. Invariant 8: an entry's time never goes back on its clock.
 */

/** When something is taken in, and on which clock. */
export type Moment = { now: number; clock: string };
type Outcome = Partial<
  Pick<Entry, 'attempt' | 'timers' | 'verdict' | 'host' | 'configuration' | 'questions' | 'commands' | 'refusal'>
>;

/** How many records of VMs are kept at hand. */
const RECORDS_MAX = 2048;

export class Workspace {
  readonly #hosts = new Map<string, HostRecord>();
  /** What `knownHosts` came to, by clock and cluster: every poll of every attempt asks for it. */
  readonly #neighbours = new Map<string, string[]>();
  readonly timetable = new Timetable();
  readonly attempts: AttemptCache;
  configuration: Configuration;
  /** Whether something decided since the last batch waits for an answer or a receiver. */
  hasOutgoing = false;
  readonly #directory: Directory;
  readonly #records = new Map<string, VmRecord>();
  /** VMs whose record changed since their last entry. */
  readonly #changed = new Set<string>();
  /** The batch in which a VM's record was last decided: until it is durable the directory does not know it. */
  readonly #touched = new Map<string, number>();
  readonly #times = new Map<string, number>();
  #entries: Entry[] = [];
  #epoch = 0;

  constructor(directory: Directory) {
    this.#directory = directory;
    this.configuration = directory.configuration();
    for (const host of directory.hosts()) this.#hosts.set(host.host, host);
    for (const [clock, time] of directory.times()) this.#times.set(clock, time);
    this.attempts = new AttemptCache(directory);
    for (const { migration, clock, ends, timers } of directory.deadlines()) {
      this.attempts.index({ migration, clock, ends });
      this.timetable.set({ migration, clock }, {}, timers);
    }
  }

  get pending(): readonly Entry[] {
    return this.#entries;
  }

  /** The entries decided since the last call, and what to call once they are durable. */
  drain(): { entries: Entry[]; committed: () => void } {
    const entries = this.#entries;
    const epoch = this.#epoch;
    this.#epoch += 1;
    this.#entries = [];
    this.hasOutgoing = false;
    return { entries, committed: () => this.#forget(entries, epoch) };
  }

  /** What is durable is read from the directory when it matters again and is no longer at hand. */
  #forget(entries: readonly Entry[], epoch: number): void {
    for (const { vm, attempt } of entries) {
      if (attempt !== null) this.attempts.committed(attempt.attempt.migration, epoch);
      if (vm === null || this.#touched.get(vm) !== epoch) continue;
      this.#touched.delete(vm);
    }
    this.attempts.makeRoom();
    if (this.#records.size > RECORDS_MAX) this.#makeRoom();
  }

  /** The oldest goes first: the newest are the ones that are asked for again. */
  #makeRoom(): void {
    for (const vm of this.#records.keys()) {
      if (this.#records.size <= RECORDS_MAX) return;
      if (!this.#touched.has(vm) && !this.#changed.has(vm)) this.#records.delete(vm);
    }
  }

  record(vm: string): VmRecord {
    const record = this.#records.get(vm) ?? this.#directory.record(vm) ?? unknownVm(vm);
    this.#records.set(vm, record);
    return record;
  }

  /** The record is written with the VM's next entry. */
  setRecord(record: VmRecord): void {
    if (this.#records.get(record.vm) === record) return;
    this.#records.set(record.vm, record);
    this.#changed.add(record.vm);
  }

  get hosts(): ReadonlyMap<string, HostRecord> {
    return this.#hosts;
  }

  setHost(host: HostRecord): void {
    this.#hosts.set(host.host, host);
    this.#neighbours.clear();
  }

  /** A host as it is known on a clock: another recording's host of the same name is another host. */
  host(host: string | null, clock: string): HostRecord | undefined {
    const record = host === null ? undefined : this.#hosts.get(host);
    return record?.clock === clock ? record : undefined;
  }

  /** Time never goes back on a clock: an entry's time is the later of the last entry's and now. */
  time({ now, clock }: Moment): number {
    const time = Math.max(this.#times.get(clock) ?? 0, now);
    this.#times.set(clock, time);
    return time;
  }

  /** Steps an attempt and writes the entry. `quiet` writes none where nothing changed; the result says whether one was written. */
  step(migration: string, stimulus: Stimulus, cause: Cause, moment: Moment, quiet?: 'quiet'): boolean {
    const live = this.attempts.open(migration);
    if (live === null) return false;
    const record = this.record(live.state.attempt.vm);
    const stepped = step(live.state, live.timers, stimulus, { now: this.time(moment), nextToken: record.token + 1 });
    // An attempt that was taken up for nothing is put back.
    if (stepped.unchanged) this.attempts.rest(migration);
    if (stepped.unchanged && quiet === 'quiet') return false;
    if (stepped.unchanged) this.write(record.vm, cause, moment, {});
    else this.keep(stepped, live.timers, record, cause, moment);
    return true;
  }

  keep(stepped: Stepped, timersBefore: Timers, record: VmRecord, cause: Cause, moment: Moment): void {
    const { state, timers, verdict } = stepped;
    const { attempt } = state;
    const next = applyAttempt(record, state, verdict, (host) => this.host(host, moment.clock));
    this.setRecord(next);
    this.attempts.set({ state, timers }, this.#epoch);
    this.timetable.set(attempt, timersBefore, isOver(state) ? {} : timers);
    this.write(next.vm, cause, moment, {
      attempt: state,
      timers,
      verdict: verdict?.number ?? null,
      questions: stepped.questions,
      commands: stepped.commands,
    });
    // Only who moves the locks itself may end what an earlier attempt still had to do with them.
    const movesLocks = attempt.steps.some(({ kind }) => kind === 'acquire-lock');
    if (verdict !== null && !verdict.contested && movesLocks) this.#endEarlier(next, attempt, cause, moment);
  }

  /** A newer attempt has its verdict: what an older one still had to settle is dropped, its tokens are spent. */
  #endEarlier(record: VmRecord, by: Attempt, cause: Cause, moment: Moment): void {
    if (record.lastMigration !== by.migration) return;
    const earlier = this.openOf(record, moment.clock).filter((other) => other !== by.migration);
    earlier.forEach((other, index) => {
      const live = this.attempts.open(other);
      if (live !== null) this.step(other, this.supersession(by, live.state.attempt), partOf(cause, index + 1), moment);
    });
  }

  /** The VM's open attempts on this clock. Those of another are another world's: nothing that happens here concerns them. */
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

  /** The hosts of a clock that a guest on `source` could be on: those of its cluster. One of no known cluster is among them. */
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

  #changedRecord(vm: string | null): VmRecord | null {
    return vm !== null && this.#changed.delete(vm) ? this.record(vm) : null;
  }

  write(vm: string | null, cause: Cause, moment: Moment, outcome: Outcome): void {
    if (vm !== null) this.#touched.set(vm, this.#epoch);
    if ((outcome.questions?.length ?? 0) > 0 || (outcome.commands?.length ?? 0) > 0) this.hasOutgoing = true;
    this.#entries.push({
      v: ENTRY_VERSION,
      time: this.time(moment),
      clock: moment.clock,
      vm,
      cause,
      attempt: outcome.attempt ?? null,
      timers: outcome.timers ?? {},
      verdict: outcome.verdict ?? null,
      record: this.#changedRecord(vm),
      host: outcome.host ?? null,
      configuration: outcome.configuration ?? null,
      questions: outcome.questions ?? [],
      commands: outcome.commands ?? [],
      refusal: outcome.refusal ?? null,
    });
  }
}

/** The cause of an input's further entries. */
export function partOf(cause: Cause, part: number): Cause {
  return cause.kind === 'input' && part > 0 ? { ...cause, part } : cause;
}
