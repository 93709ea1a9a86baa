import { type AnyActorScope, createActor, type SnapshotFrom } from 'xstate';
import type { Attempt, AttemptState } from '../events/attempt.ts';
import type { Command, Question } from '../events/commands.ts';
import type { Timers } from '../events/entries.ts';
import type { Verdict } from '../events/verdict.ts';
import { commandsSent } from './effects.ts';
import { ask, askedOf, questionId } from './evidence.ts';
import { type Stimulus, fold } from './fold.ts';
import { type MachineEvent, migration } from './migration.ts';
import { path, type StepContext } from './round.ts';

/**
 * One step of one attempt: what came in is folded and judged (fold.ts, round.ts), and the machine makes the transition. Pure:
 * time comes in as data, and what is to be asked and sent comes back as data. This is the only caller of the machine.
 */

export type Stepped = {
  state: AttemptState;
  timers: Timers;
  questions: Question[];
  commands: Command[];
  /** The verdict this step made. */
  verdict: Verdict | null;
  /** State, attempt and timers are as before: nothing to record but the input itself. */
  unchanged: boolean;
};

type Snapshot = SnapshotFrom<typeof migration>;
type ExecutableAction = { type: string; params?: unknown };

/**
 * XState's `transition()` and `initialTransition()` build an actor at every call. One inert scope serves all calls instead: the machine spawns nothing,
 * so nothing in it is ever run; the actions it would execute are collected and read as data.
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

/** Begins an attempt: both ends are asked at once, so that the outgoing job, the hand-over and the shell become known. */
export function begin(attempt: Attempt, now: number): Stepped {
  const asking = ask(attempt, [attempt.source, attempt.destination], now);
  collected = [];
  const snapshot = migration.getInitialSnapshot(scope, asking);
  const state: AttemptState = { value: snapshot.value, attempt: asking, generation: 0 };
  const armed = arm(state, {}, collected, now);
  return { ...armed, questions: questionsAsked(null, asking, now), commands: [], verdict: null, unchanged: false };
}

export function step(before: AttemptState, timers: Timers, stimulus: Stimulus, context: StepContext): Stepped {
  const event = fold(before, stimulus, context);
  const snapshot = event === null ? null : run(before, event);
  if (snapshot === null) return { state: before, timers, questions: [], commands: [], verdict: null, unchanged: true };
  const { attempt } = snapshot.context;
  const state: AttemptState = { value: snapshot.value, attempt, generation: before.generation };
  return {
    ...arm(state, timers, collected, context.now),
    questions: questionsAsked(before.attempt, attempt, context.now),
    commands: commandsSent(before.attempt, attempt),
    verdict: attempt.verdicts.length > before.attempt.verdicts.length ? (attempt.verdicts.at(-1) ?? null) : null,
    unchanged: false,
  };
}

/** The machine's transition; null where the state does not take the event. */
function run(before: AttemptState, event: MachineEvent): Snapshot | null {
  const snapshot = snapshotOf(before);
  collected = [];
  const after = migration.transition(snapshot, event, scope) as Snapshot;
  return after === snapshot ? null : after;
}

/** The machine in a state: which nodes are active depends on the state alone, so that is worked out once for each. */
const resting = new Map<string, Snapshot>();

function snapshotOf({ value, attempt }: AttemptState): Snapshot {
  const at = path(value);
  const known = resting.get(at) ?? migration.resolveState({ value, context: { attempt } });
  resting.set(at, known);
  return { ...known, context: { attempt } };
}

/** Reads the deadlines that the machine's `after` set and cancelled. One that is set again to the same time is the same timer. */
function arm(
  state: AttemptState,
  timers: Timers,
  actions: readonly ExecutableAction[],
  now: number,
): { state: AttemptState; timers: Timers } {
  // No object that `delete` was used on: V8 keeps such a one as a hash table, and writes the whole entry at half the speed.
  const next = new Map(Object.entries(timers));
  let { generation } = state;
  for (const action of actions) {
    const params = action.params as { id?: string; sendId?: string; delay?: number } | undefined;
    if (action.type === 'xstate.cancel' && params?.sendId !== undefined) next.delete(params.sendId);
    if (
      action.type !== 'xstate.raise' ||
      params?.id === undefined ||
      params.delay === undefined ||
      !Number.isFinite(params.delay)
    )
      continue;
    const dueAt = now + params.delay;
    const same = timers[params.id];
    if (same?.dueAt === dueAt) {
      next.set(params.id, same);
    } else {
      generation += 1;
      next.set(params.id, { dueAt, generation });
    }
  }
  return { state: { ...state, generation }, timers: Object.fromEntries(next) };
}

/** The questions that `after` asks and `before` had not. */
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
