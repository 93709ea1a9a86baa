import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Attempt, AttemptState, Step } from '../../events/attempt.ts';
import type { Evidence } from '../../events/verdict.ts';
import type { Directory } from '../../consumers/partition/directory.ts';
import type { Partition } from '../../consumers/partition/partition.ts';
import { WALL } from '../../events/vocabulary.ts';
import { GENESIS, type Owner } from '../../log/port.ts';
import type * as decideModule from '../../machines/decide.ts';
import type * as effectsModule from '../../machines/effects.ts';
import type * as evidenceModule from '../../machines/evidence.ts';
import type * as presenceModule from '../../machines/presence.ts';
import type * as verdictsModule from '../../machines/verdicts.ts';
import type { MemoryLedger } from '../support/memory-ledger.ts';
import type { Options } from './simulate.ts';

/**
 * The checker has teeth: with any one safety rule switched off it finds a violation. Rules kept by agents and by the service
 * are switched off in the simulation; those inside machines/ by altering the one function that keeps them.
 */
const SEEDS_MAX = 600;

type Machines = {
  decide: typeof decideModule;
  effects: typeof effectsModule;
  evidence: typeof evidenceModule;
  presence: typeof presenceModule;
  verdicts: typeof verdictsModule;
};
type Alteration = { [M in keyof Machines]?: (real: Machines[M]) => Partial<Machines[M]> };

const paths: Record<keyof Machines, string> = {
  decide: '../../machines/decide.ts',
  effects: '../../machines/effects.ts',
  evidence: '../../machines/evidence.ts',
  presence: '../../machines/presence.ts',
  verdicts: '../../machines/verdicts.ts',
};

afterEach(() => {
  for (const path of Object.values(paths)) vi.doUnmock(path);
  vi.resetModules();
});

/** The rules that are violated first in worlds without this safety rule, until one is among the expected. */
async function violated(
  expected: readonly string[],
  alteration: Alteration,
  options: Partial<Options> = {},
  first = 1,
): Promise<string> {
  vi.resetModules();
  for (const [name, alter] of Object.entries(alteration) as [keyof Machines, (real: unknown) => object][]) {
    vi.doMock(paths[name], async (original) => {
      const real = await original<object>();
      return { ...real, ...alter(real) };
    });
  }
  const { simulate } = await import('./simulate.ts');
  for (let seed = first; seed < first + SEEDS_MAX; seed += 1) {
    const { violations } = await simulate({ seed, ...options });
    const found = violations.find(({ rule }) => expected.includes(rule));
    if (found !== undefined) return found.rule;
  }
  return 'nothing';
}

const reading = (
  change: (reading: ReturnType<Machines['presence']['read']>) => Partial<ReturnType<Machines['presence']['read']>>,
): Alteration => ({
  presence: (real) => ({
    read: (answer, context) => {
      const read = real.read(answer, context);
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

/** Answers count whenever they were asked for. */
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

/** Attempts as they were when they last sent a command: what is done counts as under way again. */
function* asSent(ledger: MemoryLedger) {
  const states = new Map<string, AttemptState>();
  for (const { attempt, commands } of ledger.entries)
    if (attempt !== null && commands.length > 0) states.set(attempt.attempt.migration, attempt);
  for (const state of states.values()) yield { state };
}

const altered = (owner: Owner, change: Partial<Owner>): Owner => ({
  partition: owner.partition,
  claimedHead: owner.claimedHead,
  positions: owner.positions,
  commit: (batch) => owner.commit(batch),
  recall: (identities) => owner.recall(identities),
  release: () => owner.release(),
  ...change,
});

const forgetsIdentities = (owner: Owner): Owner =>
  altered(owner, { recall: (identities) => identities.map(() => null) });

/** Says that a batch is durable as soon as it is on its way. */
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

/** What is due fires before an input that was there is taken. */
function deadlinesFirst(partition: Partition, now: () => number): void {
  const take = partition.take.bind(partition);
  partition.take = (...input) => {
    partition.fire(now(), WALL);
    return take(...input);
  };
}

describe('with this rule switched off the checker finds', () => {
  it.each<[rule: string, expected: string[], alteration: Alteration, options?: Partial<Options>, first?: number]>([
    ['1 answers count only if asked after the failure', ['invariant 1'], notFresh],
    [
      '2 unknown is not absent',
      ['invariant 2'],
      reading(({ presence }) => (presence === 'unknown' ? { presence: 'absent', job: 'none' } : {})),
    ],
    [
      '3 a shell is not a guest',
      ['invariant 3'],
      reading(({ presence }) => (presence === 'incoming' ? { presence: 'suspended', job: 'none' } : {})),
    ],
    [
      '4 still moving is not failed',
      ['invariant 4'],
      reading(({ job }) => (job === 'outgoing' ? { job: 'none' } : {})),
    ],
    ['5 no return once the destination may have run', ['invariant 5', 'truth'], deciding({ ran: 'no' })],
    [
      '6 a release is acknowledged before its acquire',
      ['invariant 6'],
      planning((step) => (step.kind === 'acquire-lock' ? { ...step, after: [] } : step)),
    ],
    [
      '6 an older token is refused',
      ['invariant 6'],
      {},
      { agentRules: { deduplicates: true, checksTokens: false, lateMsMax: 120_000 } },
    ],
    [
      '7 a verdict names its row',
      ['invariant 7'],
      { verdicts: (real) => ({ toVerdict: (...of) => ({ ...real.toVerdict(...of), row: 'landed' }) }) },
    ],
    ['8 a deadline survives a restart as it was', ['invariant 8'], {}, { damage: { directory: restartsDeadlines } }],
    ['9 a rebuild sends nothing that is done', ['invariant 9'], {}, { damage: { openAttempts: asSent } }],
    [
      '10 a command is carried out once',
      ['invariant 10'],
      {},
      { agentRules: { deduplicates: false, checksTokens: true } },
    ],
    ['10 an input is consumed once', ['invariant 10'], {}, { damage: { owner: forgetsIdentities } }],
    ['10 an input is acknowledged once it is durable', ['invariant 10'], {}, { damage: { owner: acknowledgesEarly } }],
    ['inputs go before deadlines', ['inputs before deadlines'], {}, { damage: { partition: deadlinesFirst } }],
    ['the 35 s that a migration may be queued', ['truth'], deciding({ quietRounds: true })],
  ])('%s', { timeout: 60_000 }, async (_rule, expected, alteration, options, first) => {
    expect(expected).toContain(await violated(expected, alteration, options, first));
  });
});
