import type { Attempt, AttemptState, Step } from '../events/attempt.ts';
import type { Cause, Entry } from '../events/entries.ts';
import type { Input, InputData, Matter } from '../events/inputs.ts';
import { formatPosition, type StoredEntry } from '../log/port.ts';
import { path } from '../machines/chart.ts';
import { statusOf } from '../machines/status-words.ts';
import { isOver } from '../machines/vm.ts';
import {
  type GuestShown,
  guestOfAnswer,
  guestOfEvent,
  type HoldersShown,
  NO_FACTS,
  type OutcomeShown,
  outcomeOf,
  outcomeOfVerdict,
  type TimelineFacts,
} from './timeline-facts.ts';
import * as words from './timeline-words.ts';

/**
 * The timeline of one VM, from its ledger entries: inputs, decisions and commands as texts. Repeated questions and answers
 * become one item with a count. This module is pure.
 */

type Lane = 'source' | 'destination' | 'other' | 'landfall' | 'lock';
export type TimelineItem = {
  /** The time in ISO 8601, by the entry's own clock. */
  time: string;
  clock: string;
  lane: Lane;
  host: string | null;
  kind: string;
  text: string;
  /** The condition of the guest on `host` that the item shows; null if it shows none. */
  guest: GuestShown | null;
  /** True if the item is good or bad news; null if it is neither. */
  outcome: OutcomeShown | null;
  /** The observed holders of a volume; null if the item does not concern them. */
  lock: HoldersShown | null;
  migration: string | null;
  position: string;
  /** The number of consecutive repetitions, and the time of the last one. */
  times: number;
  until: string;
};

/** Returns the items of one VM; entries of other VMs are skipped. */
export function timeline(entries: Iterable<StoredEntry>, vm: string): TimelineItem[] {
  const builder = new TimelineBuilder(vm);
  for (const stored of entries) builder.add(stored);
  return builder.items;
}

/** @param untilMs skips entries with a later time, in milliseconds. */
export async function timelineOf(
  entries: AsyncIterable<StoredEntry>,
  vm: string,
  untilMs?: number,
): Promise<TimelineItem[]> {
  const builder = new TimelineBuilder(vm, untilMs);
  for await (const stored of entries) builder.add(stored);
  return builder.items;
}

type Draft = { lane?: Lane; host?: string | null; kind: string; text: string } & Partial<TimelineFacts>;

/** Folds entries into timeline items. */
export class TimelineBuilder {
  /** The items so far; a caller may remove finished items from the front. */
  readonly items: TimelineItem[] = [];
  readonly #vm: string;
  readonly #untilMs: number;
  readonly #states = new Map<string, AttemptState>();
  #lastInput: { source: string; id: string } | null = null;
  /** The newest attempt, whose source and destination define the host lanes. */
  #newest: Attempt | null = null;
  /** The items that a repetition would extend, by kind and host; any other item clears them. */
  readonly #repeatable = new Map<string, TimelineItem>();

  constructor(vm: string, untilMs = Number.POSITIVE_INFINITY) {
    this.#vm = vm;
    this.#untilMs = untilMs;
  }

  /** The number of leading items that later entries cannot change. */
  get finished(): number {
    const repeatable = new Set(this.#repeatable.values());
    const first = this.items.findIndex((item) => repeatable.has(item));
    return first === -1 ? this.items.length : first;
  }

  add(stored: StoredEntry): void {
    const { entry } = stored;
    if (entry.vm !== this.#vm || entry.time > this.#untilMs) return;
    const after = entry.attempt;
    const before = after === null ? undefined : this.#states.get(after.attempt.migration);
    if (after !== null && (before === undefined || this.#newest?.migration === after.attempt.migration))
      this.#newest = after.attempt;
    for (const said of this.#itemsOf(entry, before)) this.#append(stored, said);
    if (after !== null) this.#states.set(after.attempt.migration, after);
  }

  *#itemsOf(entry: Entry, before: AttemptState | undefined): Generator<Draft> {
    yield* this.#itemsOfCause(entry.cause);
    if (entry.refusal !== null) yield { kind: 'refusal', text: `refused: ${entry.refusal.message}`, outcome: 'bad' };
    if (entry.attempt !== null) yield* this.#itemsOfAttempt(entry, entry.attempt, before);
    for (const command of entry.commands)
      yield { kind: 'command', text: words.commandText(command), lane: laneOf(command), host: command.host };
    const asked = [...new Set(entry.questions.map(({ host }) => host))];
    if (asked.length > 0) yield { kind: 'question', text: `asks ${asked.join(' and ')}` };
  }

  #itemsOfCause(cause: Cause): Draft[] {
    if (cause.kind === 'timer') return timerSaid(cause);
    if (cause.kind === 'malformed') return [];
    // An input that affects several attempts has several entries, but one item.
    const isRepeatedPart =
      cause.part !== undefined && cause.source === this.#lastInput?.source && cause.id === this.#lastInput.id;
    this.#lastInput = cause;
    if (isRepeatedPart) return [];
    const said = this.#itemOfInput(matterOf(cause));
    return said === null ? [] : [said];
  }

  #itemOfInput(matter: Matter): Draft | null {
    switch (matter.type) {
      case 'landfall.vm.declared.v1':
        return { kind: 'declared', text: words.declaredText(matter.data), host: matter.data.host };
      case 'landfall.vm.requested.v1':
        return {
          kind: 'request',
          text: `${matter.data.action} requested${matter.data.host === undefined ? '' : ` on ${matter.data.host}`}`,
        };
      case 'landfall.migration.started.v1':
        return {
          ...this.#by(matter.data.source),
          kind: 'call-started',
          text: `migration ${matter.data.migration} to ${matter.data.destination} begins`,
        };
      case 'landfall.migration.returned.v1':
        return {
          ...this.#by(this.#newest?.source ?? null),
          kind: 'call-returned',
          text: words.returnedText(matter.data),
          outcome: outcomeOf(matter.data.ok),
        };
      case 'landfall.migration.resolved.v1':
        return {
          kind: 'resolution',
          text: words.resolutionText(matter.data),
        };
      case 'landfall.operator.acted.v1':
        return {
          kind: 'operator',
          text: `operator: ${matter.data.action} ${matter.data.ok ? 'done' : `failed (${matter.data.error ?? 'no reason given'})`}`,
        };
      case 'landfall.host.answered.v1':
        return {
          ...this.#by(matter.data.host),
          kind: 'answer',
          text: words.answeredText(matter.data),
          guest: guestOfAnswer(matter.data),
        };
      case 'landfall.host.lifecycle.v1':
        return {
          ...this.#by(matter.data.host),
          kind: 'event',
          text: `${matter.data.event} (${matter.data.detail})`,
          guest: guestOfEvent(matter.data.event, matter.data.detail),
        };
      case 'landfall.volume.holders.v1':
        return {
          lane: 'lock',
          host: soleHost(matter.data),
          kind: 'holders',
          text: words.holdersText(matter.data.volume, matter.data.holders),
          lock: { volume: matter.data.volume, holders: matter.data.holders.map(({ host }) => host) },
        };
      case 'landfall.volume.lease-expired.v1':
        return {
          lane: 'lock',
          host: matter.data.host,
          kind: 'lease-expired',
          text: `${matter.data.volume}: the lease of ${matter.data.host} expired`,
        };
      case 'landfall.command.acknowledged.v1':
        return acknowledged(matter.data, this.#stepOf(matter.data.command));
      case 'landfall.host.facts.v1':
        return matter.data.stream === undefined
          ? null
          : {
              ...this.#by(matter.data.host),
              kind: 'stream',
              text: `event stream ${matter.data.stream}`,
              guest: matter.data.stream === 'lost' ? 'silent' : null,
            };
      case 'landfall.host.fenced.v1':
        return { ...this.#by(matter.data.host), kind: 'fenced', text: `fenced by ${matter.data.by}`, guest: 'absent' };
      case 'landfall.configuration.set.v1':
        return null;
    }
  }

  *#itemsOfAttempt(entry: Entry, after: AttemptState, before: AttemptState | undefined): Generator<Draft> {
    const { attempt } = after;
    yield* this.#timeouts(attempt, before?.attempt.sequence ?? 0);
    for (const alarm of attempt.alarms.slice(before?.attempt.alarms.length ?? 0))
      yield { kind: 'alarm', text: `${alarm.code}: ${alarm.text}`, outcome: 'bad' };
    const { waiting } = attempt;
    if (waiting !== null && waiting.row !== before?.attempt.waiting?.row)
      yield { kind: 'waiting', text: `waits: row ${waiting.row}` };
    const verdict = attempt.verdicts.find((candidate) => candidate.number === entry.verdict);
    if (verdict !== undefined)
      yield {
        kind: 'verdict',
        text: words.verdictText(verdict),
        host: verdict.host,
        outcome: outcomeOfVerdict(verdict),
      };
    const observed = attempt.steps.filter((step) => step.status === 'observed');
    if (verdict !== undefined && observed.length > 0) yield { kind: 'observed', text: words.observedText(observed) };
    const [at, was] = [path(after.value), before === undefined ? null : path(before.value)];
    const status = statusOf(after);
    if (before !== undefined && status !== statusOf(before)) yield { kind: 'state', text: status };
    if (isOver(after) && at !== was) yield { kind: 'settled', text: words.settledText(attempt) };
  }

  /** Yields an item for each question that ran into its time limit since the sequence `since`. */
  *#timeouts({ asked, configuration }: Attempt, since: number): Generator<Draft> {
    for (const [host, { answer }] of Object.entries(asked)) {
      if (answer?.timedOut !== true || answer.arrived <= since) continue;
      const text = `no answer within ${configuration.questionLimitSeconds} s`;
      yield { ...this.#by(host), kind: 'answer', text, guest: 'silent', outcome: 'bad' };
    }
  }

  /** Returns the step of a command. A late acknowledgement changes no attempt, so all known attempts are searched. */
  #stepOf(command: string): Step | undefined {
    for (const { attempt } of this.#states.values()) {
      const found = attempt.steps.find((step) => step.command === command);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #by(host: string | null): { lane: Lane; host: string | null } {
    if (host !== null && host === this.#newest?.source) return { lane: 'source', host };
    return { lane: host !== null && host === this.#newest?.destination ? 'destination' : 'other', host };
  }

  #append({ partition, sequence, entry }: StoredEntry, draft: Draft): void {
    const { lane = 'landfall', host = null, kind, text, ...facts } = draft;
    const time = new Date(entry.time).toISOString();
    const repeats = kind === 'answer' || kind === 'question';
    const key = `${kind}\n${host ?? ''}`;
    const earlier = repeats ? this.#repeatable.get(key) : undefined;
    if (earlier?.text === text) {
      earlier.times += 1;
      earlier.until = time;
      return;
    }
    const migration = entry.attempt?.attempt.migration ?? null;
    const position = formatPosition({ partition, sequence });
    const item: TimelineItem = {
      time,
      clock: entry.clock,
      lane,
      host,
      kind,
      text,
      ...NO_FACTS,
      ...facts,
      migration,
      position,
      times: 1,
      until: time,
    };
    this.items.push(item);
    if (repeats) this.#repeatable.set(key, item);
    else this.#repeatable.clear();
  }
}

/** Returns type and data as a typed pair: the schema of the type validated the data before the entry was written. */
function matterOf({ type, data }: Extract<Cause, { kind: 'input' }>): Matter {
  return { type, data } as Pick<Input, 'type' | 'data'> as Matter;
}

function timerSaid({ timer }: Extract<Cause, { kind: 'timer' }>): Draft[] {
  return timer === 'deadline' ? [{ kind: 'deadline', text: 'the deadline has passed: one last round' }] : [];
}

function laneOf({ kind }: Pick<Step, 'kind'>): Lane {
  return kind === 'release-lock' || kind === 'acquire-lock' ? 'lock' : 'landfall';
}

function soleHost({ holders }: InputData<'landfall.volume.holders.v1'>): string | null {
  const [only] = holders;
  return holders.length === 1 && only !== undefined ? only.host : null;
}

function acknowledged(data: InputData<'landfall.command.acknowledged.v1'>, step: Step | undefined): Draft {
  return {
    lane: step === undefined ? 'landfall' : laneOf(step),
    host: step?.host ?? null,
    kind: 'effect',
    text: words.acknowledgedText(step, data),
    outcome: data.ok ? null : 'bad',
  };
}
