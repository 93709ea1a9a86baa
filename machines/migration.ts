import { assign, setup } from 'xstate';
import type { Attempt } from '../events/attempt.ts';
import type { Verdict } from '../events/verdict.ts';
import { advance, drop, isSettled, plan } from './effects.ts';
import { ask, askedOf, hostsToAsk } from './evidence.ts';
import { endStepsOnFencedHosts } from './fenced-steps.ts';

/**
 * The state machine of one migration attempt. fold.ts and round.ts interpret an input first; the machine turns the result into a
 * transition, and its `after` delays become the attempt's timers.
 *
 * Every delay is computed from an absolute time in the context, so entering a state again never shifts a deadline (invariant 8).
 */

/**
 * The role of a state names what an attempt in it waits for. It is declared in the state's `meta`. `in-flight`: the call.
 * `undecided`: answers that decide. `final-round`: the last answers before the `deadline` column decides. `unproven`: evidence
 * that settles a contested or provisional verdict. `settling`: acknowledgements of the verdict's commands. `reexamining`:
 * answers about a doubted verdict. `settled`: nothing. `superseded`: nothing, a newer attempt decides.
 */
export type StateRole =
  | 'in-flight'
  | 'undecided'
  | 'final-round'
  | 'unproven'
  | 'settling'
  | 'reexamining'
  | 'settled'
  | 'superseded';

/** The result of a closed round. `again` asks for more answers before a decision. */
export type Result = 'wait' | 'again' | 'completed' | 'provisional' | 'rolled-back' | 'contested' | 'reopen' | 'stands';

/** The attempt after the input, the round's result, and the new verdict if the round led to one. */
export type Payload = {
  next: Attempt;
  now: number;
  result: Result | null;
  verdict: Verdict | null;
  asks: readonly string[];
};
export type EventType = 'RETURNED' | 'EVIDENCE' | 'PROGRESS' | 'SUPERSEDED' | 'RESOLVED' | 'DOUBTED';
export type MachineEvent = { type: EventType } & Payload;
/** XState merges assigned members into the context. The attempt is one member, so removed members of it stay removed. */
type Context = { readonly attempt: Attempt };

const NEVER = Number.POSITIVE_INFINITY;

function until(dueAt: number | null, now: number): number {
  return dueAt === null ? NEVER : Math.max(0, dueAt - now);
}

function nextQuestionDue(attempt: Attempt): number | null {
  let due: number | null = null;
  for (const host in attempt.asked) {
    const dueAt = attempt.asked[host]?.dueAt ?? null;
    if (dueAt !== null && (due === null || dueAt < due)) due = dueAt;
  }
  return due;
}

const nowOf = (attempt: Attempt, event: { now?: number }) => event.now ?? attempt.startedAt;
const intervalMs = (attempt: Attempt) => attempt.configuration.recheckIntervalSeconds * 1000;
const timeoutMs = (attempt: Attempt) => attempt.configuration.recheckTimeoutSeconds * 1000;

/** Sends the steps whose predecessors are done, and asks the source if an `ask-origin` step is among them. */
export function pursue(attempt: Attempt, now: number): Attempt {
  const advanced = advance(attempt, now);
  const asksOrigin = advanced.steps.some(
    (step, index) => step.kind === 'ask-origin' && step.status === 'sent' && attempt.steps[index]?.status === 'waiting',
  );
  return asksOrigin ? ask(advanced, [attempt.source], now) : advanced;
}

/**
 * Returns the hosts to ask when another migration has begun: those without a question since the call's return, or all hosts
 * if every question is answered.
 */
function unasked(attempt: Attempt): string[] {
  const hosts = hostsToAsk(attempt);
  const early = hosts.filter((host) => askedOf(attempt, host).asked <= (attempt.returnedSequence ?? 0));
  const owing = hosts.some((host) => askedOf(attempt, host).dueAt !== null);
  return early.length > 0 || owing ? early : hosts;
}

/** Returns whether a question newer than the verdict is open. A doubted verdict settles only after the answer. */
function isDoubted(attempt: Attempt): boolean {
  return Object.values(attempt.asked).some(
    ({ asked, dueAt }) => dueAt !== null && asked > (attempt.judgedSequence ?? 0),
  );
}

type Change = (attempt: Attempt, event: MachineEvent) => Attempt;
const change = (to: Change) =>
  assign<Context, MachineEvent, undefined, MachineEvent, never>(({ context, event }) => ({
    attempt: to(context.attempt, event),
  }));

const definition = setup({
  types: { context: {} as Context, events: {} as MachineEvent, input: {} as Attempt, meta: {} as { role: StateRole } },
  actions: {
    take: change((_, event) => event.next),
    askMore: change((attempt, event) => ask(attempt, event.asks, event.now)),
    askAll: change((attempt, event) => ask(attempt, hostsToAsk(attempt), nowOf(attempt, event))),
    askUnasked: change((attempt, event) => ask(attempt, unasked(attempt), event.now)),
    askAllFresh: change((attempt, event) => ask(attempt, hostsToAsk(attempt), event.now, 'fresh')),
    scheduleRecheck: change((attempt, event) => ({ ...attempt, pollAt: event.now + intervalMs(attempt) })),
    scheduleLateRecheck: change((attempt, event) => ({
      ...attempt,
      pollAt: event.now + Math.max(intervalMs(attempt), timeoutMs(attempt)),
    })),
    cancelRecheck: change((attempt) => ({ ...attempt, pollAt: null })),
    cancelRecheckAndDeadline: change((attempt) => ({ ...attempt, pollAt: null, deadlineAt: null })),
    reopen: change((attempt, event) => ({
      ...attempt,
      deadlineAt: attempt.deadlineAt ?? event.now + timeoutMs(attempt),
    })),
    decide: change((attempt, { verdict }) =>
      verdict === null
        ? attempt
        : { ...attempt, verdicts: [...attempt.verdicts, verdict], judgedSequence: attempt.sequence },
    ),
    plan: change((attempt, event) => {
      const verdict = attempt.verdicts.at(-1);
      return verdict === undefined
        ? attempt
        : pursue(endStepsOnFencedHosts({ ...attempt, steps: plan(attempt, verdict), settledAt: null }), event.now);
    }),
    pursue: change((attempt, event) => pursue(attempt, event.now)),
    drop: change((attempt) => drop(attempt)),
    close: change((attempt, event) => ({
      ...attempt,
      settledAt: attempt.settledAt ?? event.now,
      pollAt: null,
      deadlineAt: null,
      retryAt: null,
    })),
  },
  guards: {
    completes: ({ event }) => event.result === 'completed',
    completesSuperseded: ({ event }) => event.result === 'provisional' && event.next.supersededBy !== null,
    completesProvisionally: ({ event }) => event.result === 'provisional',
    rollsBack: ({ event }) => event.result === 'rolled-back',
    contestsSuperseded: ({ event }) => event.result === 'contested' && event.next.supersededBy !== null,
    contests: ({ event }) => event.result === 'contested',
    mustAskMore: ({ event }) => event.result === 'again',
    waits: ({ event }) => event.result === 'wait',
    stands: ({ event }) => event.result === 'stands',
    reopens: ({ event }) => event.result === 'reopen',
    failed: ({ event }) => event.next.callError !== null,
    allSettled: ({ context: { attempt } }) => isSettled(attempt) && !isDoubted(attempt),
  },
  delays: {
    'question-limit': ({ context: { attempt }, event }) => until(nextQuestionDue(attempt), nowOf(attempt, event)),
    recheck: ({ context: { attempt }, event }) => until(attempt.pollAt, nowOf(attempt, event)),
    deadline: ({ context: { attempt }, event }) => until(attempt.deadlineAt, nowOf(attempt, event)),
    'command-retry': ({ context: { attempt }, event }) => until(attempt.retryAt, nowOf(attempt, event)),
  },
});

const settle = ['take', 'decide', 'cancelRecheckAndDeadline', 'plan'] as const;
/** Transitions of a verdict that settles the attempt, from any state. */
const settlements = [
  { guard: 'completes', target: '#Completed.settling', actions: settle },
  { guard: 'rollsBack', target: '#RolledBack.settling', actions: settle },
] as const;
/** The transition that a contested verdict causes. */
const contest = {
  guard: 'contests',
  target: '#RolledBack.contested',
  actions: ['take', 'decide', 'cancelRecheckAndDeadline', 'plan', 'scheduleLateRecheck'],
} as const;
const verdicts = [...settlements, contest] as const;
/**
 * Transitions of the final round: the `deadline` column may also complete provisionally. A superseded attempt is closed at
 * once.
 */
const lastVerdicts = [
  ...settlements,
  { guard: 'completesSuperseded', target: '#Completed.settled', actions: ['take', 'decide', 'drop', 'close'] },
  {
    guard: 'completesProvisionally',
    target: '#Completed.provisional',
    actions: ['take', 'decide', 'cancelRecheckAndDeadline', 'scheduleLateRecheck'],
  },
  {
    guard: 'contestsSuperseded',
    target: '#RolledBack.superseded',
    actions: ['take', 'decide', 'plan', 'drop', 'close'],
  },
  contest,
] as const;

/**
 * Transitions within a state that waits for answers: an incomplete round asks more hosts; any other input is only recorded.
 */
const waiting = <Stay extends string>(stay: Stay) =>
  [
    { guard: 'mustAskMore', target: stay, reenter: true, actions: ['take', 'askMore'] },
    { target: stay, reenter: true, actions: ['take'] },
  ] as const;

/** The first round after the call. If it decides nothing, rechecking begins. */
const firstRound = <Stay extends string>(stay: Stay) =>
  [
    ...verdicts,
    { guard: 'waits', target: '#Rechecking.watching', actions: ['take', 'scheduleRecheck'] },
    ...waiting(stay),
  ] as const;
const laterRound = <Stay extends string>(stay: Stay) => [...verdicts, ...waiting(stay)] as const;
const finalRound = [...lastVerdicts, ...waiting('finalRound')] as const;

const reopening = {
  guard: 'reopens',
  target: '#Rechecking.watching',
  actions: ['take', 'drop', 'reopen', 'scheduleRecheck', 'askAll'],
} as const;
/** Transitions while a verdict is in force: contradicting evidence replaces the verdict or opens the attempt again. */
const standing = <Stay extends string>(stay: Stay) => [reopening, ...verdicts, ...waiting(stay)] as const;
const reexamining = [
  { guard: 'stands', target: 'settled', actions: ['take', 'close'] },
  ...standing('reexamining'),
] as const;
/** A doubt about a settled verdict: the hosts are asked until their answers are clear or the recheck timeout has passed. */
const doubt = { target: 'reexamining', actions: ['take', 'reopen', 'scheduleRecheck', 'askAll'] } as const;
const provisional = [reopening, ...settlements, ...waiting('provisional')] as const;
/** The transition of the `deadline` column's provisional completion. */
const completesProvisionally = {
  guard: 'completesProvisionally',
  target: '#Completed.provisional',
  actions: ['take', 'decide', 'cancelRecheckAndDeadline', 'drop', 'scheduleLateRecheck'],
} as const;
const contested = [...settlements, completesProvisionally, ...waiting('contested')] as const;

/**
 * Answers from before the other migration began are the better evidence, so hosts with an open question are not asked
 * again.
 */
const supersede = { target: '#Rechecking.finalRound', actions: ['take', 'cancelRecheck', 'askUnasked'] } as const;
const lastRound = { target: '#Rechecking.finalRound', actions: ['take', 'cancelRecheck', 'askAllFresh'] } as const;
const taken = <Stay extends string>(stay: Stay, ...actions: ('pursue' | 'askAll' | 'scheduleLateRecheck')[]) =>
  ({ target: stay, reenter: true, actions: ['take', ...actions] }) as const;

export const migration = definition.createMachine({
  id: 'migration',
  context: ({ input }) => ({ attempt: input }),
  initial: 'Migrating',
  states: {
    Migrating: {
      on: { SUPERSEDED: supersede },
      initial: 'inFlight',
      states: {
        inFlight: {
          meta: { role: 'in-flight' },
          on: {
            EVIDENCE: [{ guard: 'mustAskMore', ...taken('inFlight'), actions: ['take', 'askMore'] }, taken('inFlight')],
            RETURNED: [
              { guard: 'rollsBack', target: '#RolledBack.settling', actions: settle },
              { guard: 'failed', target: '#ApiFailed', actions: ['take', 'askAll'] },
              { target: 'verifying', actions: ['take', 'askAll'] },
            ],
          },
          after: { 'question-limit': taken('inFlight') },
        },
        /** The call reported success, and the first round verifies it. */
        verifying: {
          meta: { role: 'undecided' },
          on: { EVIDENCE: firstRound('verifying') },
          after: { 'question-limit': firstRound('verifying') },
        },
      },
    },
    /** The call failed, and the first round is open. */
    ApiFailed: {
      id: 'ApiFailed',
      meta: { role: 'undecided' },
      on: { EVIDENCE: firstRound('ApiFailed'), SUPERSEDED: supersede },
      after: { 'question-limit': firstRound('ApiFailed') },
    },
    Rechecking: {
      id: 'Rechecking',
      on: { SUPERSEDED: supersede },
      initial: 'watching',
      states: {
        watching: {
          meta: { role: 'undecided' },
          on: { EVIDENCE: laterRound('watching') },
          after: {
            deadline: lastRound,
            'question-limit': laterRound('watching'),
            recheck: { target: 'watching', reenter: true, actions: ['take', 'scheduleRecheck', 'askAll'] },
          },
        },
        /** The deadline has passed: one more round, then the `deadline` column of the table decides. */
        finalRound: {
          meta: { role: 'final-round' },
          on: { EVIDENCE: finalRound },
          after: { 'question-limit': finalRound },
        },
      },
    },
    Completed: {
      id: 'Completed',
      initial: 'settling',
      states: {
        settling: {
          meta: { role: 'settling' },
          always: { guard: 'allSettled', target: 'settled', actions: 'close' },
          on: {
            PROGRESS: taken('settling', 'pursue'),
            DOUBTED: taken('settling', 'askAll'),
            EVIDENCE: standing('settling'),
            SUPERSEDED: { target: 'settled', actions: ['take', 'drop', 'close'] },
          },
          after: { 'question-limit': standing('settling'), 'command-retry': taken('settling') },
        },
        /** The guest is on the destination; hooks and locks wait for proof about the source. */
        provisional: {
          meta: { role: 'unproven' },
          on: {
            DOUBTED: taken('provisional', 'askAll'),
            EVIDENCE: provisional,
            RESOLVED: settlements,
            SUPERSEDED: { target: 'settled', actions: ['take', 'drop', 'close'] },
          },
          after: { 'question-limit': provisional, recheck: taken('provisional', 'scheduleLateRecheck', 'askAll') },
        },
        settled: { meta: { role: 'settled' }, on: { DOUBTED: doubt } },
        reexamining: {
          meta: { role: 'reexamining' },
          on: {
            EVIDENCE: reexamining,
            DOUBTED: taken('reexamining', 'askAll'),
            SUPERSEDED: { target: 'settled', actions: ['take', 'close'] },
          },
          after: {
            'question-limit': reexamining,
            recheck: { target: 'reexamining', reenter: true, actions: ['take', 'scheduleRecheck', 'askAll'] },
            deadline: [contest, { target: 'settled', actions: ['take', 'close'] }],
          },
        },
      },
    },
    RolledBack: {
      id: 'RolledBack',
      initial: 'settling',
      states: {
        settling: {
          meta: { role: 'settling' },
          always: { guard: 'allSettled', target: 'settled', actions: 'close' },
          on: {
            PROGRESS: taken('settling', 'pursue'),
            DOUBTED: taken('settling', 'askAll'),
            EVIDENCE: standing('settling'),
            SUPERSEDED: { target: 'settled', actions: ['take', 'drop', 'close'] },
          },
          after: { 'question-limit': standing('settling'), 'command-retry': taken('settling') },
        },
        /**
         * Contested: the guest may be on both hosts or still moving. Locks stay as observed until evidence or an operator
         * settles the attempt.
         */
        contested: {
          meta: { role: 'unproven' },
          on: {
            PROGRESS: taken('contested', 'pursue'),
            DOUBTED: taken('contested', 'askAll'),
            EVIDENCE: contested,
            RESOLVED: settlements,
            SUPERSEDED: { target: 'superseded', actions: ['take', 'drop', 'close'] },
          },
          after: {
            'question-limit': contested,
            'command-retry': taken('contested'),
            recheck: taken('contested', 'scheduleLateRecheck', 'askAll'),
          },
        },
        /** Contested and closed, because the verdict of a newer migration decides where the guest is. */
        superseded: { meta: { role: 'superseded' } },
        settled: { meta: { role: 'settled' }, on: { DOUBTED: doubt } },
        reexamining: {
          meta: { role: 'reexamining' },
          on: {
            EVIDENCE: reexamining,
            DOUBTED: taken('reexamining', 'askAll'),
            SUPERSEDED: { target: 'settled', actions: ['take', 'close'] },
          },
          after: {
            'question-limit': reexamining,
            recheck: { target: 'reexamining', reenter: true, actions: ['take', 'scheduleRecheck', 'askAll'] },
            deadline: [contest, { target: 'settled', actions: ['take', 'close'] }],
          },
        },
      },
    },
  },
});
