import { assert } from 'vitest';
import type { Attempt, AttemptState } from '../../events/attempt.ts';
import type { Command, Question } from '../../events/commands.ts';
import { type Configuration, defaultConfiguration } from '../../events/configuration.ts';
import { type TimerKind, type Timers, timersOf } from '../../events/entries.ts';
import type { CallError, Domain, InputData } from '../../events/inputs.ts';
import type { DomainJob, DomainReason, DomainState, LifecycleDetail, LifecycleEvent } from '../../events/libvirt.ts';
import type { Verdict } from '../../events/verdict.ts';
import { questionId } from '../../machines/evidence.ts';
import type { Stimulus } from '../../machines/fold.ts';
import { openAttempt } from '../../machines/open.ts';
import { path } from '../../machines/chart.ts';
import { begin, type Stepped, step } from '../../machines/step.ts';
import { unknownVm } from '../../machines/vm.ts';
import { VM } from './builders.ts';

export { VM };

/**
 * Given / when / then for one attempt. A `Play` simulates a small world around machines/step.ts: hosts answer questions at once
 * with prepared answers, and a clock fires the attempt's timers in the order of their due times.
 */

export const S = 'alpha';
export const D = 'beta';
export const T = 'gamma';
export const U = 'delta';
const MIGRATION = 'm1';
export const START = 1_700_000_000_000;

/** A host's answer without the question's id and the host's name. */
export type Words = Partial<Omit<InputData<'landfall.host.answered.v1'>, 'question' | 'host'>>;
/** A host's answer from now on; `silent` means that the host does not answer. */
export type Saying = 'silent' | Words;

export const jobs = { out: 'outgoing', incoming: 'incoming', none: 'none', unknown: 'unknown' } as const;

const domain = (state: DomainState, reason: DomainReason, job: DomainJob): Domain => ({
  name: 'web-1',
  state,
  reason,
  job,
});
export const absent: Words = { ok: true, domain: null };
export const failed: Words = { ok: false, error: 'error: failed to connect to the hypervisor', domain: null };
export const running = (job: DomainJob = jobs.none, reason: DomainReason = 'booted'): Words => ({
  domain: domain('running', reason, job),
});
export const paused = (reason: DomainReason, job: DomainJob = jobs.none): Words => ({
  domain: domain('paused', reason, job),
});
export const shutOff = (reason: DomainReason = 'shutdown'): Words => ({
  domain: domain('shut off', reason, jobs.none),
});
export const crashed = (reason: DomainReason = 'unknown'): Words => ({ domain: domain('crashed', reason, jobs.none) });
export const shell: Words = paused('migrating', jobs.incoming);

export type Given = Partial<Attempt> & {
  configuration?: Configuration;
  /** The known hosts of the cluster when the call returns. */
  known?: string[];
  says?: Readonly<Record<string, Saying>>;
};

export class Play {
  state: AttemptState;
  timers: Timers;
  now = START;
  readonly verdicts: Verdict[] = [];
  readonly questions: Question[] = [];
  /** The fencing token that the caller of the machine issues for a step's verdict. */
  nextToken: () => number = () => this.verdicts.length + 1;
  /** All commands sent so far. */
  readonly commands: Command[] = [];
  /** The visited states in order. */
  readonly path: string[] = [];
  readonly #sayings = new Map<string, Saying>();
  readonly #known: string[];
  readonly #configuration: Configuration;
  #unanswered: Question[] = [];

  constructor({ known = [], says = {}, configuration = defaultConfiguration, ...over }: Given = {}) {
    this.#known = known;
    this.#configuration = configuration;
    for (const [host, saying] of Object.entries(says)) this.#sayings.set(host, saying);
    const started = { migration: MIGRATION, source: S, destination: D, flags: [], origin: 'running' as const };
    const defaults = { leavePaused: false, storageCopied: false, effects: 'drive' } as const;
    const host = (name: string) =>
      ({
        host: name,
        clock: 'simulated:spec',
        zone: 'z',
        cluster: 'c',
        boot: `${name}-boot-1`,
        stream: 'connected',
        agent: 'speaking',
      }) as const;
    const site = { clock: 'simulated:spec', now: this.now, configuration, host };
    const attempt = { ...openAttempt({ ...started, ...defaults }, unknownVm(VM), site), ...over };
    const begun = begin(attempt, this.now);
    this.state = begun.state;
    this.timers = {};
    this.#take(begun);
    this.#answerOpen();
  }

  get attempt(): Attempt {
    return this.state.attempt;
  }

  get at(): string {
    return path(this.state.value);
  }

  get verdict(): Verdict | undefined {
    return this.attempt.verdicts.at(-1);
  }

  #take(stepped: Stepped): void {
    this.state = stepped.state;
    this.timers = stepped.timers;
    this.questions.push(...stepped.questions);
    this.commands.push(...stepped.commands);
    if (stepped.verdict !== null) this.verdicts.push(stepped.verdict);
    if (this.path.at(-1) !== this.at) this.path.push(this.at);
    this.#unanswered.push(...stepped.questions);
  }

  /** Applies one stimulus; hosts do not answer the new questions. */
  stepOnly(stimulus: Stimulus): Stepped {
    const stepped = step(this.state, this.timers, stimulus, { now: this.now, nextToken: this.nextToken() });
    this.#take(stepped);
    return stepped;
  }

  apply(stimulus: Stimulus): void {
    this.stepOnly(stimulus);
    this.#answerOpen();
  }

  says(host: string, saying: Saying): void {
    this.#sayings.set(host, saying);
    this.#answerOpen();
  }

  /** Hosts that are not silent answer their questions in the order of asking. */
  #answerOpen(): void {
    for (;;) {
      const next = this.#unanswered.find(({ host }) => (this.#sayings.get(host) ?? 'silent') !== 'silent');
      if (next === undefined) return;
      this.#unanswered = this.#unanswered.filter((question) => question !== next);
      const saying = this.#sayings.get(next.host);
      if (saying !== undefined && saying !== 'silent')
        this.stepOnly({ type: 'answered', data: this.answerTo(next, saying) });
    }
  }

  answerTo(question: Pick<Question, 'question' | 'host'>, saying: Words): InputData<'landfall.host.answered.v1'> {
    return {
      question: question.question,
      host: question.host,
      ok: true,
      domain: null,
      boot: `${question.host}-boot-1`,
      ...saying,
    };
  }

  /** Returns the newest open question of a host. */
  openQuestion(host: string): Question | undefined {
    return this.#unanswered.findLast((question) => question.host === host);
  }

  returns(error: CallError | null): void {
    const data = { migration: MIGRATION, ok: error === null, ...(error === null ? {} : { error }) };
    this.apply({ type: 'returned', data, knownHosts: this.#known, configuration: this.#configuration });
  }

  supersede(): void {
    this.apply({
      type: 'superseded',
      by: 'm2',
      source: D,
      knownHosts: this.#known,
      configuration: this.#configuration,
    });
  }

  /** Lets time pass and fires due timers in order. */
  wait(seconds: number): void {
    const end = this.now + seconds * 1000;
    for (let fired = 0; fired < 100_000; fired += 1) {
      const due = this.nextTimer();
      if (due === undefined || due[1].dueAt > end) break;
      this.fire(due[0]);
    }
    this.now = end;
  }

  nextTimer(): ReturnType<typeof timersOf>[number] | undefined {
    return timersOf(this.timers).toSorted(([, a], [, b]) => a.dueAt - b.dueAt || a.generation - b.generation)[0];
  }

  /** Fires one timer at its due time. */
  fire(kind: TimerKind): void {
    const { [kind]: timer, ...rest } = this.timers;
    if (timer === undefined) throw new Error(`no timer ${kind}`);
    this.timers = rest;
    this.now = Math.max(this.now, timer.dueAt);
    this.apply({ type: 'timer', kind });
  }

  /** Acknowledges a sent or refused command of this kind, for one volume if `volume` is given. */
  acknowledge(kind: Command['kind'], ok = true, volume?: string): void {
    const under = this.attempt.steps.find(
      (candidate) =>
        candidate.kind === kind &&
        (candidate.status === 'sent' || candidate.status === 'refused') &&
        (volume === undefined || candidate.volume === volume),
    );
    if (under === undefined) throw new Error(`no ${kind} is under way: ${JSON.stringify(this.attempt.steps)}`);
    this.apply({ type: 'acknowledged', data: { command: under.command, ok, ...(ok ? {} : { error: 'refused' }) } });
  }

  acknowledgeAll(): void {
    for (let rounds = 0; rounds < 100; rounds += 1) {
      const under = this.attempt.steps.find(
        (candidate) => candidate.status === 'sent' && candidate.kind !== 'ask-origin',
      );
      if (under === undefined) return;
      this.apply({ type: 'acknowledged', data: { command: under.command, ok: true } });
    }
  }
}

export type Move = (play: Play) => void;

export const says =
  (host: string, saying: Saying): Move =>
  (play) =>
    play.says(host, saying);
/** The call fails; kind `libvirt` means that libvirt itself returned the error. */
export const fails =
  (kind: CallError['kind'] = 'caller-timeout', message = 'migration failed', code?: string): Move =>
  (play) =>
    play.returns({ kind, message, ...(code === undefined ? {} : { code }) });
export const succeeds: Move = (play) => play.returns(null);
export const after =
  (seconds: number): Move =>
  (play) =>
    play.wait(seconds);
export const event =
  (host: string, name: LifecycleEvent, detail: LifecycleDetail): Move =>
  (play) =>
    play.apply({ type: 'lifecycle', data: { host, event: name, detail } });
export const stream =
  (host: string, to: 'connected' | 'lost'): Move =>
  (play) =>
    play.apply({ type: 'stream', host, stream: to });
export const acks =
  (kind: Command['kind'], ok = true, volume?: string): Move =>
  (play) =>
    play.acknowledge(kind, ok, volume);
export const acksAll: Move = (play) => play.acknowledgeAll();
export const fenced =
  (host = S): Move =>
  (play) =>
    play.apply({ type: 'fenced', host });
export const expires =
  (volume: string, host = S): Move =>
  (play) =>
    play.apply({ type: 'lease-expired', data: { volume, host } });
export const supersedes: Move = (play) => play.supersede();
const resolution = { migration: MIGRATION, reason: 'checked by hand', attest: true, operator: 'ops' };
export const resolves =
  (host: string): Move =>
  (play) =>
    play.apply({ type: 'resolved', data: { ...resolution, host } });
/** Answers the question with the given sequence, outside the order of asking. */
export const answers =
  (host: string, sequence: number, saying: Words, migration = MIGRATION): Move =>
  (play) =>
    play.apply({ type: 'answered', data: play.answerTo({ question: questionId(migration, sequence), host }, saying) });

type Expected = {
  /** A state with its substate, such as `RolledBack.contested`, or a top-level state alone. */
  state?: string;
  row?: string;
  outcome?: Verdict['outcome'];
  contested?: boolean;
  host?: string;
  certainty?: Verdict['certainty'];
  final?: boolean;
  error?: string | RegExp | null;
  /** The commands sent since the last `when`, as `release-lock alpha vol-1`. */
  commands?: readonly string[];
  /** The alarms raised since the attempt began. */
  alarms?: readonly string[];
  /** The row by which the attempt waits, and the host recorded meanwhile. */
  waiting?: { row: string; host: string } | null;
  verdicts?: number;
  offers?: readonly string[];
};

export const spoken = ({ kind, host, volume }: Command) =>
  [kind, host, volume].filter((part) => part !== null).join(' ');

class Spec {
  readonly play: Play;
  #before = { verdicts: 0, commands: 0, alarms: 0, state: '' };

  constructor(given: Given) {
    this.play = new Play(given);
  }

  when(...moves: Move[]): this {
    const { play } = this;
    this.#before = {
      verdicts: play.verdicts.length,
      commands: play.commands.length,
      alarms: play.attempt.alarms.length,
      state: play.at,
    };
    for (const move of moves) move(play);
    return this;
  }

  /** The method is not called `then`, because `await` calls a method of that name. */
  thenIs(expected: Expected): this {
    const { error, ...rest } = expected;
    assert.deepEqual(this.#actual(expected), rest);
    if (error instanceof RegExp) assert.match(this.play.verdict?.error ?? '', error);
    else if (error !== undefined) assert.equal(this.play.verdict?.error, error);
    return this;
  }

  #actual(expected: Expected): Expected {
    const { play } = this;
    const { verdict } = play;
    const all: Record<keyof Expected, unknown> = {
      state: expected.state?.includes('.') === false ? play.at.split('.')[0] : play.at,
      row: verdict?.row,
      outcome: verdict?.outcome,
      contested: verdict?.contested,
      host: verdict?.host,
      certainty: verdict?.certainty,
      final: verdict?.final,
      error: verdict?.error,
      commands: play.commands.slice(this.#before.commands).map(spoken),
      alarms: play.attempt.alarms.map(({ code }) => code),
      waiting: play.attempt.waiting,
      verdicts: play.verdicts.length,
      offers: verdict?.offers,
    };
    const asked = Object.keys(expected).filter((key) => key !== 'error') as (keyof Expected)[];
    return Object.fromEntries(asked.map((key) => [key, all[key]]));
  }

  /** Checks that state, verdicts, commands and alarms did not change. */
  thenNothingHappened(): this {
    const { play } = this;
    const now = {
      verdicts: play.verdicts.length,
      commands: play.commands.length,
      alarms: play.attempt.alarms.length,
      state: play.at,
    };
    assert.deepEqual(now, this.#before);
    return this;
  }
}

export const given = (attempt: Given = {}): Spec => new Spec(attempt);

export const volume = (name: string, over: Partial<Attempt['volumes'][number]> = {}): Attempt['volumes'][number] => ({
  volume: name,
  shareable: false,
  lockedBy: 'landfall',
  ...over,
});
