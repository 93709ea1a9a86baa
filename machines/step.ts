import { type AnyActorScope, createActor, type SnapshotFrom } from 'xstate';
import type { Attempt, AttemptState } from '../events/attempt.ts';
import type { Command, Question } from '../events/commands.ts';
import { isTimerKind, type Timers } from '../events/entries.ts';
import type { Verdict } from '../events/verdict.ts';
import { commandsSent } from './effects.ts';
import { path } from './chart.ts';
import { ask, askedOf, questionId } from './evidence.ts';
import { type Folded, type Stimulus, fold } from './fold.ts';
import { type MachineEvent, migration } from './migration.ts';
import type { StepContext } from './round.ts';
import { delayedEventType, type ExecutableAction, timerNotTaken, timersAfter } from './timers.ts';

/**
 * One step of one attempt: fold.ts and round.ts interpret the stimulus, and the machine makes the transition. The module is pure:
 * the time is an argument, and questions and commands are part of the result. No other module runs the machine.
 */

export type Stepped = {
  state: AttemptState;
  timers: Timers;
  questions: Question[];
  commands: Command[];
  /** The verdict of this step; null if the step led to none. */
  verdict: Verdict | null;
  /** True if state, attempt and timers did not change; only the input needs recording. */
  unchanged: boolean;
};

type Snapshot = SnapshotFrom<typeof migration>;

/**
 * XState's `transition()` and `initialTransition()` create an actor at every call. One inert scope serves all calls instead. The
 * machine spawns no actors; its actions are collected in `collected` and not executed.
 */
let collected: ExecutableAction[] = [];
const scope: AnyActorScope = inertScope();

function inertScope(): AnyActorScope {
  const actor = createActor(migration, { input: {} as Attempt });
  return {
    self: actor,
    id: '',
    sessionId: '',
    system: actor.system,
    logger: () => {},
    defer: () => {},
    emit: () => {},
    stopChild: () => {},
    actionExecutor: (action: ExecutableAction) => {
      collected.push(action);
    },
  };
}

/** Begins an attempt and asks both hosts at once, so that outgoing job, hand-over and shell become known early. */
export function begin(attempt: Attempt, now: number): Stepped {
  const asking = ask(attempt, [attempt.source, attempt.destination], now);
  collected = [];
  const snapshot = migration.getInitialSnapshot(scope, asking);
  const { timers, generation } = timersAfter({}, collected, { now, generation: 0, keepsState: false });
  const state: AttemptState = { value: snapshot.value, attempt: asking, generation };
  const questions = questionsAsked(null, asking, now);
  return { state, timers, questions, commands: [], verdict: null, unchanged: false };
}

export function step(before: AttemptState, timers: Timers, stimulus: Stimulus, context: StepContext): Stepped {
  const folded = fold(before, stimulus, context);
  const snapshot = folded === null ? null : transition(before, folded);
  if (snapshot === null) return { state: before, timers, questions: [], commands: [], verdict: null, unchanged: true };
  const { attempt } = snapshot.context;
  const set = timersAfter(timers, collected, {
    now: context.now,
    generation: before.generation,
    keepsState: path(snapshot.value) === path(before.value),
  });
  return {
    state: { value: snapshot.value, attempt, generation: set.generation },
    timers: set.timers,
    questions: questionsAsked(before.attempt, attempt, context.now),
    commands: commandsSent(before.attempt, attempt),
    verdict: attempt.verdicts.length > before.attempt.verdicts.length ? (attempt.verdicts.at(-1) ?? null) : null,
    unchanged: false,
  };
}

/**
 * Returns the machine's transition; null if the state does not take the event.
 * @throws Fault TIMER_NOT_TAKEN if the event is a timer's and the state does not take it.
 */
function transition(before: AttemptState, { type, ...payload }: Folded): Snapshot | null {
  const snapshot = snapshotOf(before);
  collected = [];
  const event = { ...payload, type: isTimerKind(type) ? delayedEventType(before, type) : type } as MachineEvent;
  const after = migration.transition(snapshot, event, scope) as Snapshot;
  if (after !== snapshot) return after;
  return isTimerKind(type) ? timerNotTaken(before, type) : null;
}

/** Snapshots by state: the active nodes depend on the state alone, so each snapshot is resolved once. */
const resting = new Map<string, Snapshot>();

function snapshotOf({ value, attempt }: AttemptState): Snapshot {
  const at = path(value);
  const known = resting.get(at) ?? migration.resolveState({ value, context: { attempt } });
  resting.set(at, known);
  return { ...known, context: { attempt } };
}

/** Returns the questions that were added between `before` and `after`. */
function questionsAsked(before: Attempt | null, after: Attempt, now: number): Question[] {
  if (before?.asked === after.asked) return [];
  return Object.entries(after.asked)
    .filter(([host, state]) => state.asked > (before === null ? 0 : askedOf(before, host).asked))
    .map(([host, state]) => ({
      question: questionId(after.migration, state.asked),
      migration: after.migration,
      vm: after.vm,
      host,
      askedAt: now,
      dueAt: state.dueAt ?? now,
    }));
}
