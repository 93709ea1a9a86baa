import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Attempt, AttemptState, Step } from '../../events/attempt.ts';
import type { Evidence } from '../../events/verdict.ts';
import type { Directory } from '../../log/directory.ts';
import type { Partition } from '../../engine/partition/partition.ts';
import { WALL } from '../../events/vocabulary.ts';
import { GENESIS, type Owner } from '../../log/port.ts';
import type * as decideModule from '../../machines/decide.ts';
import type * as effectsModule from '../../machines/effects.ts';
import type * as evidenceModule from '../../machines/evidence.ts';
import type * as presenceModule from '../../machines/presence.ts';
import { path } from '../../machines/chart.ts';
import type * as roundModule from '../../machines/round.ts';
import type * as siteModule from '../../engine/partition/site-inputs.ts';
import type * as stepModule from '../../machines/step.ts';
import type * as verdictsModule from '../../machines/verdicts.ts';
import type { MemoryLedger } from '../support/memory-ledger.ts';
import type { Options } from './simulate.ts';
import type { FaultKind } from './world/faults.ts';

/**
 * Tests the checker: if one safety rule is switched off, the checker must report a violation. Rules of agents and of the service
 * are switched off in the simulation; rules in machines/ by replacing the function that implements them.
 */
const SEEDS_MAX = 600;

type Machines = {
  decide: typeof decideModule;
  effects: typeof effectsModule;
  evidence: typeof evidenceModule;
  presence: typeof presenceModule;
  round: typeof roundModule;
  site: typeof siteModule;
  step: typeof stepModule;
  verdicts: typeof verdictsModule;
};
type Alteration = { [M in keyof Machines]?: (real: Machines[M]) => Partial<Machines[M]> };

const paths: Record<keyof Machines, string> = {
  decide: '../../machines/decide.ts',
  effects: '../../machines/effects.ts',
  evidence: '../../machines/evidence.ts',
  presence: '../../machines/presence.ts',
  round: '../../machines/round.ts',
  site: '../../engine/partition/site-inputs.ts',
  step: '../../machines/step.ts',
  verdicts: '../../machines/verdicts.ts',
};

afterEach(() => {
  for (const path of Object.values(paths)) vi.doUnmock(path);
  vi.resetModules();
});

/**
 * Simulates worlds without the rule until one violates `expected`. Other violations are ignored. Returns 'nothing' if no world
 * does.
 */
async function violated(expected: string, alteration: Alteration, options: Partial<Options> = {}): Promise<string> {
  vi.resetModules();
  for (const [name, alter] of Object.entries(alteration) as [keyof Machines, (real: unknown) => object][]) {
    vi.doMock(paths[name], async (original) => {
      const real = await original<object>();
      return { ...real, ...alter(real) };
    });
  }
  const { simulate } = await import('./simulate.ts');
  for (let seed = 1; seed <= SEEDS_MAX; seed += 1) {
    const { violations } = await simulate({ seed, until: expected, ...options });
    const found = violations.find(({ rule }) => rule === expected);
    if (found !== undefined) return found.rule;
  }
  return 'nothing';
}

const reading = (
  change: (
    reading: ReturnType<Machines['presence']['readAnswer']>,
  ) => Partial<ReturnType<Machines['presence']['readAnswer']>>,
): Alteration => ({
  presence: (real) => ({
    readAnswer: (answer, context) => {
      const read = real.readAnswer(answer, context);
      return { ...read, ...change(read) };
    },
  }),
});
const deciding = (change: Partial<Evidence>): Alteration => ({
  decide: (real) => ({ decide: (evidence, phase) => real.decide({ ...evidence, ...change }, phase) }),
});
const planning = (change: (step: Step) => Step): Alteration => ({
  effects: (real) => ({ plan: (attempt, verdict) => real.plan(attempt, verdict).map(change) }),
});

/** Counts answers to questions that were asked before the call failed. */
const notFresh: Alteration = {
  evidence: (real) => {
    const early = (attempt: Attempt) =>
      attempt.returnedSequence === null ? attempt : { ...attempt, returnedSequence: 0 };
    return {
      evidenceOf: (attempt) => real.evidenceOf(early(attempt)),
      isRoundClosed: (attempt, since) => real.isRoundClosed(early(attempt), since),
    };
  },
};

/** Replaces the previous verdict by the new verdict. */
const overwrites: Alteration = {
  step: (real) => ({
    step: (...of) => {
      const stepped = real.step(...of);
      if (stepped.verdict === null) return stepped;
      const { attempt } = stepped.state;
      const verdicts = [...attempt.verdicts.slice(0, -2), ...attempt.verdicts.slice(-1)];
      return { ...stepped, state: { ...stepped.state, attempt: { ...attempt, verdicts } } };
    },
  }),
};

const staysContested: Alteration = {
  round: (real) => ({
    judgeRound: (state, next, context) =>
      path(state.value) === 'RolledBack.contested' ? real.unjudged(next) : real.judgeRound(state, next, context),
  }),
};

/** Treats a reconnected event stream as unbroken unless the host has rebooted. */
const connectedIsUnbroken: Alteration = {
  site: (real) => ({
    applySiteInput: (space, input, cause, moment) => {
      const isAnew =
        input.type === 'landfall.host.facts.v1' &&
        input.data.stream === 'connected' &&
        space.host(input.data.host, moment.clock)?.boot === input.data.boot;
      const step = space.step.bind(space);
      if (isAnew)
        space.step = (migration, stimulus, ...more) =>
          stimulus.type === 'stream' && stimulus.stream === 'lost' ? false : step(migration, stimulus, ...more);
      real.applySiteInput(space, input, cause, moment);
      space.step = step;
    },
  }),
};

/**
 * The guest's CPUs run on the destination, its agent restarts before it reports that, and the guest dies there. The source stays
 * paused. Only the agent's new event stream shows that an event may be missing.
 */
const ranUnheard: Partial<Options> = {
  vmsMax: 1,
  faults: new Set<FaultKind>(['finish-reply-lost']),
  likely: { 'finish-reply-lost': 1 },
  story: ({ sim, hypervisor, agents }) => {
    hypervisor.onEvent.push((host, vm, event, detail) => {
      if (event !== 'Resumed' || detail !== 'Migrated') return;
      agents.restart(host, 50);
      sim.after(60, () => {
        const qemu = hypervisor.qemu(host, vm);
        if (qemu !== undefined) hypervisor.end(qemu, 'crashed', 'Stopped', 'Crashed');
      });
    });
  },
};

const restartsDeadlines = (directory: Directory, now: number): Directory => ({
  record: (vm) => directory.record(vm),
  attempt: (migration) => {
    const found = directory.attempt(migration);
    const { deadlineAt, configuration } = found?.state.attempt ?? {};
    if (found === null || deadlineAt === null || configuration === undefined) return found;
    const attempt = { ...found.state.attempt, deadlineAt: now + configuration.recheckTimeoutSeconds * 1000 };
    return { ...found, state: { ...found.state, attempt } };
  },
  deadlines: () => directory.deadlines(),
  hosts: () => directory.hosts(),
  configuration: () => directory.configuration(),
  times: () => directory.times(),
});

/** Returns attempts in the state of their last sent command, so that finished commands count as in progress. */
function* asSent(ledger: MemoryLedger) {
  const states = new Map<string, AttemptState>();
  for (const { attempt, commands } of ledger.entries)
    if (attempt !== null && commands.length > 0) states.set(attempt.attempt.migration, attempt);
  for (const state of states.values()) yield { state };
}

const altered = (owner: Owner, change: Partial<Owner>): Owner => ({
  partition: owner.partition,
  claimedHead: owner.claimedHead,
  inputPositions: owner.inputPositions,
  checkpoints: owner.checkpoints,
  commit: (batch) => owner.commit(batch),
  recall: (identities) => owner.recall(identities),
  release: () => owner.release(),
  ...change,
});

const forgetsIdentities = (owner: Owner): Owner =>
  altered(owner, { recall: (identities) => identities.map(() => null) });

/** Acknowledges a batch before it is durable. */
function acknowledgesEarly(owner: Owner): Owner {
  let { sequence } = owner.claimedHead;
  return altered(owner, {
    commit: async (batch) => {
      owner.commit(batch).catch(() => {});
      sequence += batch.entries.length;
      return { sequence, hash: GENESIS };
    },
  });
}

/** Fires due deadlines before an input that was already in the log. */
function deadlinesFirst(partition: Partition, now: () => number): void {
  const take = partition.take.bind(partition);
  partition.take = (...input) => {
    partition.fire(now(), WALL);
    return take(...input);
  };
}

describe('the checker', () => {
  it.each<[rule: string, expected: string, alteration: Alteration, options?: Partial<Options>]>([
    ['1 answers count only if asked after the failure', 'invariant 1', notFresh],
    [
      '2 unknown is not absent',
      'invariant 2',
      reading(({ presence }) => (presence === 'unknown' ? { presence: 'absent', job: 'none' } : {})),
    ],
    [
      '3 a shell is not a guest',
      'invariant 3',
      reading(({ presence }) => (presence === 'incoming' ? { presence: 'suspended', job: 'none' } : {})),
    ],
    ['4 still moving is not failed', 'invariant 4', reading(({ job }) => (job === 'outgoing' ? { job: 'none' } : {}))],
    ['5 no return after the destination may have run', 'invariant 5', deciding({ ran: 'no' }), ranUnheard],
    ['5 events between two streams are unknown', 'invariant 5', connectedIsUnbroken, ranUnheard],
    [
      '6 an acquire follows an acknowledged release',
      'invariant 6',
      planning((step) => (step.kind === 'acquire-lock' ? { ...step, after: [] } : step)),
    ],
    [
      '6 an older token is refused',
      'invariant 6',
      {},
      // The agent executes a command that is late by a whole attempt.
      {
        agentRules: { deduplicates: true, checksTokens: false, lateMsMax: 120_000 },
        likely: { 'command-late': 0.5 },
      },
    ],
    [
      '7 a verdict names its row',
      'invariant 7',
      { verdicts: (real) => ({ toVerdict: (...of) => ({ ...real.toVerdict(...of), row: 'landed' }) }) },
    ],
    ['7 a verdict is never overwritten', 'invariant 7', overwrites],
    ['7 late evidence reopens a contested attempt', 'invariant 7', staysContested],
    ['8 a deadline survives a restart unchanged', 'invariant 8', {}, { damage: { directory: restartsDeadlines } }],
    ['9 a rebuild sends no finished command', 'invariant 9', {}, { damage: { openAttempts: asSent } }],
    ['10 a command is executed once', 'invariant 10', {}, { agentRules: { deduplicates: false, checksTokens: true } }],
    ['10 an input is consumed once', 'invariant 10', {}, { damage: { owner: forgetsIdentities } }],
    ['10 an acknowledged input is durable', 'invariant 10', {}, { damage: { owner: acknowledgesEarly } }],
    ['inputs precede deadlines', 'inputs before deadlines', {}, { damage: { partition: deadlinesFirst } }],
    ['a migration may be queued for 35 s', 'truth', deciding({ quietRounds: true })],
  ])('reports a violation without rule: %s', async (_rule, expected, alteration, options) => {
    expect(await violated(expected, alteration, options)).toBe(expected);
  });

  it('reports no violation in the same worlds with all rules', async () => {
    const { simulate } = await import('./simulate.ts');
    const rows = new Map<string, number>();
    for (let seed = 1; seed <= 40; seed += 1) {
      const run = await simulate({ seed, ...ranUnheard });
      expect(run.violations).toEqual([]);
      for (const [row, count] of run.rows) rows.set(row, (rows.get(row) ?? 0) + count);
    }
    expect(rows.get('ran-and-died')).toBeGreaterThan(0);
  });
});
