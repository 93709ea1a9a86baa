import { defaultConfiguration } from '../../../events/configuration.ts';
import type { AttemptState } from '../../../events/attempt.ts';
import type { Command } from '../../../events/commands.ts';
import { type Timers, timersOf } from '../../../events/entries.ts';
import type { CallError, InputData } from '../../../events/inputs.ts';
import type { Verdict } from '../../../events/verdict.ts';
import type { Stimulus } from '../../../machines/fold.ts';
import { openAttempt } from '../../../machines/open.ts';
import { begin as beginAttempt, type Stepped, step } from '../../../machines/step.ts';
import { unknownVm } from '../../../machines/vm.ts';
import { canonical } from './canonical.ts';
import { begin, D, movesOf, S, type Small, sample, type Told } from './small-world.ts';

/** Explores every interleaving of one migration on two hosts with a limited number of faults, through the real step function. */

type Answer = InputData<'landfall.host.answered.v1'>;
/** All facts that distinguish one situation from another. */
export type Situation = {
  readonly world: Small;
  readonly state: AttemptState;
  readonly timers: Timers;
  readonly now: number;
  /** Unanswered questions, only the newest per host. */
  readonly asked: readonly { readonly host: string; readonly question: string }[];
  /** Answers that were sampled and are delivered late. */
  readonly late: readonly Answer[];
  /** Undelivered events, in order per host. */
  readonly events: readonly Told[];
  readonly returned: CallError | null | undefined;
  readonly commands: readonly Command[];
  readonly faults: number;
};
export type Explored = {
  states: number;
  steps: number;
  depth: number;
  complete: boolean;
  verdicts: Map<string, number>;
  violations: string[];
};

const MIGRATION = 'm1';
const START = 1_700_000_000_000;
const CLOCK = 'simulated:exhaustive';
const QUEUED_MS_MAX = 30_000;
/** Two polls and the final round, so that few steps reach the deadline. */
const configuration = { ...defaultConfiguration, recheckIntervalSeconds: 20, recheckTimeoutSeconds: 40 };
const KNOWN_SITE = { knownHosts: [S, D], configuration };

function first(): Situation {
  const host = (name: string) =>
    ({
      host: name,
      clock: CLOCK,
      zone: 'z',
      cluster: 'c',
      boot: `${name}-boot-1`,
      stream: 'connected',
      agent: 'speaking',
    }) as const;
  const how = { origin: 'running', leavePaused: false, storageCopied: false, effects: 'drive' } as const;
  const started = { migration: MIGRATION, source: S, destination: D, flags: [], ...how };
  const record = {
    ...unknownVm('vm'),
    volumes: [{ volume: 'disk', shareable: false, lockedBy: 'landfall' as const }],
    owner: S,
  };
  const attempt = openAttempt(started, record, { clock: CLOCK, now: START, configuration, host }, []);
  const begun = beginAttempt(attempt, START);
  const empty = {
    world: begin,
    state: begun.state,
    timers: {},
    now: START,
    asked: [],
    late: [],
    events: [],
    returned: undefined,
    commands: [],
    faults: 0,
  };
  return took(empty, begun);
}

/**
 * Returns the start situations: each phase of an undisturbed migration, with all events delivered. Every order is tried
 * from these situations, so faults meet each phase without exploring every path to that phase.
 */
function starts(): Situation[] {
  const all = [first()];
  for (let situation = first(), progress = true; progress; ) {
    const [move] = worldMoves(situation, false);
    progress = move !== undefined && situation.returned === undefined;
    if (move === undefined || !progress) break;
    situation = heardAll(move.situation);
    all.push(situation);
  }
  return all;
}

/** Delivers events in order and lets every host answer, until nothing is left to deliver. */
function heardAll(situation: Situation): Situation {
  const [next] = [...deliveries({ ...situation, returned: undefined }, false), ...answers(situation, false)];
  return next === undefined ? situation : heardAll({ ...next.situation, returned: situation.returned });
}

/**
 * Returns the situation after a step's questions and commands are sent. A newer question to a host replaces the older
 * one.
 */
function took(before: Situation, stepped: Stepped): Situation {
  const asked = [...before.asked];
  for (const { host, question } of stepped.questions) {
    const at = asked.findIndex((one) => one.host === host);
    if (at >= 0) asked.splice(at, 1);
    asked.push({ host, question });
  }
  const commands = [
    ...before.commands.filter((one) => !stepped.commands.some(({ command }) => command === one.command)),
    ...stepped.commands,
  ];
  return { ...before, state: stepped.state, timers: stepped.timers, asked, commands };
}

export type Successor = { readonly name: string; readonly situation: Situation; readonly verdict: Verdict | null };

function stepped(name: string, before: Situation, stimulus: Stimulus): Successor {
  const nextToken = (before.state.attempt.verdicts.at(-1)?.token ?? 0) + 1;
  const made = step(before.state, before.timers, stimulus, { now: before.now, nextToken });
  return { name, situation: took(before, made), verdict: made.verdict };
}

/**
 * `any`: deliveries happen in every order. `in-order`: deliveries keep their order of sending, and each exception counts as a
 * fault.
 */
export type Order = 'any' | 'in-order';

/** Returns every possible next situation. */
function successors(now: Situation, faultsMax: number, order: Order): Successor[] {
  const mayFail = now.faults < faultsMax;
  const heard = [...deliveries(now, mayFail), ...answers(now, mayFail)];
  const rest = [
    ...worldMoves(now, mayFail),
    ...lateAnswers(now),
    ...acknowledgements(now, mayFail),
    ...deadline(now, mayFail),
  ];
  if (order === 'any' || heard.length === 0) return [...heard, ...rest];
  // The oldest delivery comes next; any other delivery costs one fault.
  const [next, ...others] = heard;
  const exceptions = [...others, ...rest].filter(({ situation }) => mayFail || situation.faults > now.faults);
  return [...(next === undefined ? [] : [next]), ...exceptions.map((one) => atCost(one, now))].filter(
    ({ situation }) => situation.faults <= faultsMax,
  );
}

function atCost(one: Successor, now: Situation): Successor {
  return one.situation.faults > now.faults ? one : { ...one, situation: { ...one.situation, faults: now.faults + 1 } };
}

function worldMoves(now: Situation, mayFail: boolean): Successor[] {
  return movesOf(now.world)
    .filter(({ fault }) => mayFail || !fault)
    .map(({ name, fault, world, events, returns }) => {
      const returned = returns === undefined ? now.returned : returns;
      const situation = {
        ...now,
        world,
        events: [...now.events, ...(events ?? [])],
        returned,
        faults: now.faults + (fault ? 1 : 0),
      };
      return { name, situation, verdict: null };
    });
}

/** A host answers, or the answer is lost, or the answer is sampled now and delivered later. */
function answers(now: Situation, mayFail: boolean): Successor[] {
  const given = now.asked.flatMap((one): Successor[] => {
    const rest = { ...now, asked: now.asked.filter((other) => other !== one) };
    const data = sample(now.world, one.host, one.question);
    const answered = stepped(`${one.host} answers`, rest, { type: 'answered', data });
    if (!mayFail) return [answered];
    const lost = {
      name: `answer of ${one.host} is lost`,
      situation: { ...rest, faults: now.faults + 1 },
      verdict: null,
    };
    const late = {
      name: `${one.host} is sampled, its answer comes late`,
      situation: { ...rest, late: [...now.late, data], faults: now.faults + 1 },
      verdict: null,
    };
    const twice = stepped(
      `answer of ${one.host} comes again`,
      { ...answered.situation, faults: now.faults + 1 },
      { type: 'answered', data },
    );
    return [answered, lost, late, { ...twice, verdict: twice.verdict ?? answered.verdict }];
  });
  return given;
}

function lateAnswers(now: Situation): Successor[] {
  return now.late.map((data) => {
    const rest = { ...now, late: now.late.filter((other) => other !== data) };
    return stepped(`late answer of ${data.host}`, rest, { type: 'answered', data });
  });
}

/** The next event of a host arrives, or its stream breaks first; or the call returns. */
function deliveries(now: Situation, mayFail: boolean): Successor[] {
  const events = [S, D].flatMap((host): Successor[] => {
    const next = now.events.find((one) => one.host === host);
    if (next === undefined) return [];
    const rest = { ...now, events: now.events.filter((one) => one !== next) };
    if ('stream' in next)
      return [stepped(`stream of ${host} ${next.stream}`, rest, { type: 'stream', host, stream: next.stream })];
    const heard = stepped(`${host} ${next.event} ${next.detail}`, rest, { type: 'lifecycle', data: next });
    const lost = mayFail
      ? [
          stepped(
            `event of ${host} is lost`,
            { ...rest, faults: now.faults + 1 },
            { type: 'stream', host, stream: 'lost' },
          ),
        ]
      : [];
    return [heard, ...lost];
  });
  if (now.returned === undefined) return events;
  const error = now.returned;
  const data = { migration: MIGRATION, ok: error === null, ...(error === null ? {} : { error }) };
  return [
    ...events,
    stepped('the call returns', { ...now, returned: undefined }, { type: 'returned', data, ...KNOWN_SITE }),
  ];
}

function acknowledgements(now: Situation, mayFail: boolean): Successor[] {
  return now.commands.flatMap((command): Successor[] => {
    const rest = { ...now, commands: now.commands.filter((one) => one !== command) };
    const done = stepped(`${command.kind} is done`, rest, {
      type: 'acknowledged',
      data: { command: command.command, ok: true },
    });
    if (!mayFail) return [done];
    const refused = { command: command.command, ok: false, error: 'refused' };
    return [
      done,
      stepped(
        `${command.kind} is refused`,
        { ...rest, faults: now.faults + 1 },
        { type: 'acknowledged', data: refused },
      ),
    ];
  });
}

/** The next deadline fires. A deadline that fires before a pending delivery counts as a fault. */
function deadline(now: Situation, mayFail: boolean): Successor[] {
  const underWay = now.asked.length + now.events.length + now.commands.length > 0 || now.returned !== undefined;
  if (underWay && !mayFail) return [];
  const [next] = timersOf(now.timers).toSorted(([, a], [, b]) => a.dueAt - b.dueAt || a.generation - b.generation);
  if (next === undefined) return [];
  const [id, { dueAt }] = next;
  // libvirt queues a migration for at most 30 s.
  if (now.world.phase === 'queued' && dueAt > START + QUEUED_MS_MAX) return [];
  const { [id]: _met, ...timers } = now.timers;
  const faults = now.faults + (underWay ? 1 : 0);
  return [
    stepped(`timer ${id}`, { ...now, timers, faults, now: Math.max(now.now, dueAt) }, { type: 'timer', kind: id }),
  ];
}

/**
 * The visited situations with the smallest number of faults of each. Faults so far only limit later faults, so a situation needs
 * a second visit only with fewer faults. The set consists of several maps because one map is limited to 16 million keys.
 */
class Met {
  readonly #parts = Array.from({ length: 64 }, () => new Map<string, number>());
  size = 0;

  /** Returns true for a new situation, or for a known one with fewer faults than before. */
  isNews(situation: Situation): boolean {
    const key = canonical(situation);
    const part = this.#parts[key.charCodeAt(0) % this.#parts.length] ?? new Map<string, number>();
    const before = part.get(key);
    if (before !== undefined && before <= situation.faults) return false;
    if (before === undefined) this.size += 1;
    part.set(key, situation.faults);
    return true;
  }
}

type Check = (before: Situation, next: Successor) => string[];

/** Visits the successors of a situation and returns the new ones. */
function expand(situation: Situation, explored: Explored, met: Met, how: How): Situation[] {
  const news: Situation[] = [];
  for (const next of successors(situation, how.faultsMax, how.order)) {
    explored.steps += 1;
    const row = next.verdict?.row;
    if (row !== undefined) explored.verdicts.set(row, (explored.verdicts.get(row) ?? 0) + 1);
    explored.violations.push(...how.check(situation, next));
    if (met.isNews(next.situation)) news.push(next.situation);
  }
  return news;
}
type How = { readonly faultsMax: number; readonly order: Order; readonly check: Check };

const none = (): Explored => ({
  states: 0,
  steps: 0,
  depth: 0,
  complete: true,
  verdicts: new Map(),
  violations: [],
});

/** Explores breadth first until no situation is new or the limit is reached. */
export function explore(faultsMax: number, order: Order, statesMax: number, check: Check): Explored {
  const explored = none();
  const met = new Met();
  let frontier = starts().filter((situation) => met.isNews(situation));
  for (; frontier.length > 0; explored.depth += 1) {
    const beyond: Situation[] = [];
    for (const situation of frontier) {
      beyond.push(...expand(situation, explored, met, { faultsMax, order, check }));
      if (explored.violations.length > 0 || met.size >= statesMax)
        return { ...explored, states: met.size, complete: false };
    }
    frontier = beyond;
  }
  return { ...explored, states: met.size };
}

/** Explores every situation depth first, which keeps the list of pending situations short. */
export function exploreAll(faultsMax: number, order: Order, check: Check, isTimeUp: () => boolean): Explored {
  const explored = none();
  const met = new Met();
  const open = starts().filter((situation) => met.isNews(situation));
  for (let situation = open.pop(); situation !== undefined; situation = open.pop()) {
    // Situations with the fewest faults come first, so that few situations are visited a second time.
    open.push(...expand(situation, explored, met, { faultsMax, order, check }).toSorted((a, b) => b.faults - a.faults));
    explored.depth = Math.max(explored.depth, open.length);
    if (explored.violations.length > 0 || isTimeUp()) return { ...explored, states: met.size, complete: false };
  }
  return { ...explored, states: met.size };
}
