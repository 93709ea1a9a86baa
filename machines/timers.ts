import type { AttemptState } from '../events/attempt.ts';
import { isTimerKind, type TimerKind, type Timers, timersOf } from '../events/entries.ts';
import { Fault } from '../events/fault.ts';
import { chartNodes, path } from './chart.ts';

/**
 * Translates between the timers of the ledger (kind, due time, generation) and XState's delayed transitions. No other module
 * knows how XState names a delayed event, so a renamed state changes nothing that the ledger stores.
 */

/** An action that the machine would execute: `xstate.raise` sets a timer, `xstate.cancel` cancels one. */
export type ExecutableAction = { readonly type: string; readonly params?: unknown };

type DelayedTransition = { readonly state: string; readonly kind: TimerKind; readonly eventType: string };

const delayed = chartNodes.flatMap(({ path: at, after }) =>
  after.map((transition) => delayedTransition(at, transition)),
);
const eventTypes = new Map(delayed.map(({ state, kind, eventType }) => [`${state} ${kind}`, eventType]));
const kinds = new Map(delayed.map(({ kind, eventType }) => [eventType, kind]));

function delayedTransition(
  at: readonly string[],
  { delay, eventType }: { readonly delay: unknown; readonly eventType: string },
): DelayedTransition {
  const kind = String(delay);
  if (!isTimerKind(kind)) throw new RangeError(`the chart has a delay ${kind} that is no kind of timer`);
  return { state: at.join('.'), kind, eventType };
}

/**
 * Returns the type of the event that XState takes when a timer of the kind fires.
 * @throws Fault TIMER_NOT_TAKEN if the attempt's state has no transition for the kind.
 */
export function delayedEventType(state: AttemptState, kind: TimerKind): string {
  const at = path(state.value);
  const [top] = at.split('.');
  return eventTypes.get(`${at} ${kind}`) ?? eventTypes.get(`${top} ${kind}`) ?? timerNotTaken(state, kind);
}

/** @throws Fault TIMER_NOT_TAKEN: a deadline must never pass without effect (invariant 8). */
export function timerNotTaken({ value, attempt }: AttemptState, kind: TimerKind): never {
  throw new Fault(
    'TIMER_NOT_TAKEN',
    `the timer ${kind} of attempt ${attempt.migration} fell due, but state ${path(value)} has no transition for it`,
    'This is a defect of Landfall: keep a copy of the ledger and report it.',
  );
}

/**
 * Returns the timers after a transition, and the generation of the newest.
 * @param actions what the machine would execute, in its order.
 * @param keepsState true if the transition ended in the state where it began. A timer that is then set to the same time keeps its
 * generation.
 */
export function timersAfter(
  before: Timers,
  actions: readonly ExecutableAction[],
  { now, generation, keepsState }: { now: number; generation: number; keepsState: boolean },
): { timers: Timers; generation: number } {
  if (!actions.some(changesTimers)) return { timers: before, generation };
  // V8 keeps an object that `delete` was used on as a hash table, and serialises the entry at half the speed.
  const timers = new Map(timersOf(before));
  let newest = generation;
  for (const { type, params } of actions) {
    const { sendId = '', id = '', delay = Number.POSITIVE_INFINITY } = (params ?? {}) as Partial<ActionParams>;
    const cancelled = type === 'xstate.cancel' ? kinds.get(sendId) : undefined;
    if (cancelled !== undefined) timers.delete(cancelled);
    const set = type === 'xstate.raise' ? kinds.get(id) : undefined;
    if (set === undefined || !Number.isFinite(delay)) continue;
    const dueAt = now + delay;
    const same = keepsState ? before[set] : undefined;
    if (same?.dueAt !== dueAt) newest += 1;
    timers.set(set, same?.dueAt === dueAt ? same : { dueAt, generation: newest });
  }
  return { timers: Object.fromEntries(timers), generation: newest };
}

function changesTimers({ type }: ExecutableAction): boolean {
  return type === 'xstate.cancel' || type === 'xstate.raise';
}

/** `sendId` names a timer to cancel; `id` names one to set, `delay` milliseconds from now. */
type ActionParams = { readonly sendId: string; readonly id: string; readonly delay: number };
