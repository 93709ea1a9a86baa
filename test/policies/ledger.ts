import type { AttemptState } from '../../events/attempt.ts';
import { defaultConfiguration } from '../../events/configuration.ts';
import { type Cause, type Entry, type Timers, timersOf } from '../../events/entries.ts';
import { ENTRY_VERSION } from '../../events/entry-version.ts';
import type { CallError } from '../../events/inputs.ts';
import type { LifecycleDetail, LifecycleEvent } from '../../events/libvirt.ts';
import { askedOf, questionId } from '../../machines/evidence.ts';
import type { Stimulus } from '../../machines/fold.ts';
import { openAttempt } from '../../machines/open.ts';
import { begin, type Stepped, step } from '../../machines/step.ts';
import { unknownVm } from '../../machines/vm.ts';
import { answerOf, D, S, type Saying } from './world.ts';

/** Builds the ledger entries of one attempt: the machine decides, and the test sets the order and time of inputs. */

const CLOCK = 'simulated:policies';
const STARTED_AT = 1_000_000;
const RETURNED_AFTER_MS = 2000;

export class Script {
  readonly entries: { entry: Entry }[] = [];
  readonly migration: string;
  readonly #vm: string;
  #state: AttemptState;
  #timers: Timers;
  #now = STARTED_AT;

  constructor(migration: string, ends: { source?: string; destination?: string } = {}) {
    this.migration = migration;
    this.#vm = `vm-of-${migration}`;
    const data = {
      migration,
      source: ends.source ?? S,
      destination: ends.destination ?? D,
      flags: [],
      origin: 'running' as const,
      leavePaused: false,
      storageCopied: false,
      effects: 'observe' as const,
    };
    const site = { clock: CLOCK, now: this.#now, configuration: defaultConfiguration, host: () => undefined };
    const begun = begin(openAttempt(data, unknownVm(this.#vm), site), this.#now);
    this.#state = begun.state;
    this.#timers = begun.timers;
    this.#write(this.#input('landfall.migration.started.v1', data), begun);
  }

  get state(): AttemptState {
    return this.#state;
  }

  /** Sets the current time, in milliseconds after the return. */
  at(afterMs: number): this {
    this.#now = STARTED_AT + RETURNED_AFTER_MS + afterMs;
    return this;
  }

  returns(error: CallError | null, knownHosts: string[] = []): this {
    const data = { migration: this.migration, ok: error === null, ...(error === null ? {} : { error }) };
    this.at(0);
    return this.#step('landfall.migration.returned.v1', data, {
      type: 'returned',
      data,
      knownHosts,
      configuration: defaultConfiguration,
    });
  }

  /** Answers for a host: to its newest question, or to the question with this sequence number. */
  says(host: string, saying: Saying, sequence = askedOf(this.#state.attempt, host).asked): this {
    const data = { question: questionId(this.migration, sequence), host, ...answerOf(saying) };
    return this.#step('landfall.host.answered.v1', data, { type: 'answered', data });
  }

  /** Adds a lifecycle event, after which both hosts are asked again at once. */
  event(host: string, event: LifecycleEvent, detail: LifecycleDetail): this {
    const data = { host, event, detail };
    return this.#step('landfall.host.lifecycle.v1', data, { type: 'lifecycle', data });
  }

  resolved(host: string): this {
    const data = { migration: this.migration, host, reason: 'looked', attest: true, operator: 'op' };
    return this.#step('landfall.migration.resolved.v1', data, { type: 'resolved', data });
  }

  /** Fires the next timer. */
  tick(): this {
    const [next] = timersOf(this.#timers).toSorted(([, a], [, b]) => a.dueAt - b.dueAt);
    if (next === undefined) throw new RangeError('no timer is set');
    const [timer, { dueAt, generation }] = next;
    this.#now = Math.max(this.#now, dueAt);
    const { [timer]: _fired, ...timers } = this.#timers;
    this.#timers = timers;
    return this.#take(
      { kind: 'timer', migration: this.migration, timer, generation, dueAt },
      { type: 'timer', kind: timer },
    );
  }

  #input(type: string, data: unknown): Cause {
    return { kind: 'input', type, source: 'test', id: `${this.migration}-${this.entries.length}`, digest: '', data };
  }

  #step(type: string, data: unknown, stimulus: Stimulus): this {
    return this.#take(this.#input(type, data), stimulus);
  }

  #take(cause: Cause, stimulus: Stimulus): this {
    const stepped = step(this.#state, this.#timers, stimulus, { now: this.#now, nextToken: 1 });
    this.#state = stepped.state;
    this.#timers = stepped.timers;
    this.#write(cause, stepped);
    return this;
  }

  #write(cause: Cause, { state, timers, verdict, unchanged, questions, commands }: Stepped): void {
    const entry: Entry = {
      v: ENTRY_VERSION,
      time: this.#now,
      clock: CLOCK,
      vm: this.#vm,
      cause,
      attempt: unchanged ? null : state,
      timers,
      verdict: verdict?.number ?? null,
      record: null,
      host: null,
      configuration: null,
      questions,
      commands,
      refusal: null,
    };
    this.entries.push({ entry });
  }
}
