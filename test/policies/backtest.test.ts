import { describe, expect, it } from 'vitest';
import { LAST_ASK_MS } from '../../policies/answers.ts';
import { backtest } from '../../policies/backtest.ts';
import { Replay } from '../../policies/replay.ts';
import type { KnownEndings } from '../../policies/truth.ts';
import { Script } from './ledger.ts';
import { agentError, callerTimeout, D, S } from './world.ts';

/** Returns a call with a caller timeout; the guest arrives 2 s later. */
function timedOut(migration = 'm-timeout'): Script {
  const script = new Script(migration).says(S, 'moving').says(D, 'newShell').returns(callerTimeout);
  script.at(50).says(S, 'moving').says(D, 'shell');
  return script.at(2000).event(D, 'Resumed', 'Migrated').at(2100).says(D, 'arrived').says(S, 'absent');
}

/** Returns a call that libvirt refuses before the migration starts. */
function refused(migration = 'm-refused'): Script {
  const script = new Script(migration)
    .says(S, 'running')
    .says(D, 'absent')
    .returns(agentError)
    .at(40)
    .says(S, 'running')
    .says(D, 'absent');
  // The destination's answer counts only if it was asked after the source's answer arrived.
  return script.at(60).says(D, 'absent');
}

/** Returns a migration with a live guest on both hosts until the deadline. */
function contested(migration = 'm-contested'): Script {
  const script = new Script(migration)
    .says(S, 'moving')
    .says(D, 'newShell')
    .returns(agentError)
    .at(40)
    .says(S, 'running')
    .says(D, 'arrived');
  while (script.state.attempt.verdicts.length === 0) {
    script.tick();
    if (script.state.attempt.verdicts.length === 0) script.says(S, 'running').says(D, 'arrived');
  }
  return script;
}

const entriesOf = (...scripts: Script[]) => scripts.flatMap(({ entries }) => entries);
const tallyOf = (tallies: readonly { id: string }[], id: string) => tallies.find((tally) => tally.id === id);

describe('backtest', () => {
  it('uses proven verdicts as the truth and marks such attempts', async () => {
    const { attempts } = await backtest(entriesOf(timedOut(), refused()));
    expect(attempts.map(({ migration, vm, truth }) => ({ migration, vm, truth }))).toEqual([
      { migration: 'm-timeout', vm: 'vm-of-m-timeout', truth: { host: D, power: 'running', basis: 'verdict' } },
      { migration: 'm-refused', vm: 'vm-of-m-refused', truth: { host: S, power: 'running', basis: 'verdict' } },
    ]);
  });

  it('returns the costs of each policy', async () => {
    const { attempts } = await backtest(entriesOf(timedOut()));
    expect(attempts[0]?.decisions).toEqual({
      nova: { host: S, action: 'leave', at: 50, right: false, cost: 'lock-on-wrong-host' },
      cloudstack: {
        host: S,
        action: 'destroy on destination',
        at: 0,
        hits: 'incoming',
        right: false,
        cost: 'migration-killed',
      },
      'zstack-before': { host: S, action: 'roll back', at: 0, right: false, cost: 'two-writers-possible' },
      'zstack-first': { host: S, action: 'roll back', at: 50, right: false, cost: 'two-writers-possible' },
      'zstack-described': { host: S, action: 'roll back', at: 50, right: false, cost: 'two-writers-possible' },
      ganeti: { host: null, action: 'manual', at: 50, right: null, cost: 'manual' },
      opennebula: {
        host: S,
        action: 'destroy on destination',
        at: 0,
        hits: 'incoming',
        right: false,
        cost: 'migration-killed',
      },
      kubevirt: { host: S, action: 'leave', at: 50, right: false, cost: 'lock-on-wrong-host' },
      landfall: { host: D, action: 'complete', at: 2100, right: true, cost: 'none' },
    });
  });

  it('counts only attempts with a known truth', async () => {
    const { policies, attempts } = await backtest(entriesOf(timedOut(), refused(), contested()));
    expect(attempts).toHaveLength(3);
    expect(tallyOf(policies, 'landfall')).toMatchObject({ right: 2, wrong: 0, undecided: 0, costs: { none: 2 } });
    expect(tallyOf(policies, 'nova')).toMatchObject({
      right: 1,
      wrong: 1,
      undecided: 0,
      costs: { none: 1, 'lock-on-wrong-host': 1 },
    });
    expect(tallyOf(policies, 'ganeti')).toMatchObject({
      right: 1,
      wrong: 0,
      undecided: 1,
      costs: { none: 1, manual: 1 },
    });
  });

  it('knows the truth of a contested attempt only from other sources', async () => {
    const alone = await backtest(entriesOf(contested()));
    expect(alone.attempts[0]?.truth).toBeNull();
    expect(alone.attempts[0]?.decisions['nova']).toEqual({ host: S, action: 'leave', at: 40, right: null, cost: null });
    const witnessed: KnownEndings = new Map([['m-contested', { host: D, power: 'running' }]]);
    const { attempts, policies } = await backtest(entriesOf(contested()), witnessed);
    expect(attempts[0]?.truth).toEqual({ host: D, power: 'running', basis: 'witnessed' });
    expect(attempts[0]?.decisions['landfall']).toMatchObject({
      host: null,
      action: 'manual',
      right: null,
      cost: 'manual',
    });
    expect(attempts[0]?.decisions['zstack-described']).toMatchObject({
      host: S,
      at: LAST_ASK_MS,
      cost: 'two-writers-possible',
    });
    expect(attempts[0]?.decisions['cloudstack']).toMatchObject({ hits: 'executing', cost: 'guest-killed' });
    expect(tallyOf(policies, 'landfall')).toMatchObject({ right: 0, wrong: 0, undecided: 1 });
  });

  it('prefers the truth of other sources to the verdict', async () => {
    const { attempts } = await backtest(entriesOf(refused()), new Map([['m-refused', { host: D, power: 'paused' }]]));
    expect(attempts[0]?.decisions['landfall']).toMatchObject({ right: false, cost: 'lock-on-wrong-host' });
  });

  it('uses an operator’s decision as truth, not as decision of Landfall', async () => {
    const { attempts } = await backtest(entriesOf(contested().resolved(D)));
    expect(attempts[0]?.truth).toMatchObject({ host: D, basis: 'verdict' });
    expect(attempts[0]?.decisions['landfall']).toMatchObject({ host: null, action: 'manual', right: null });
  });

  it('runs only the requested policies', async () => {
    const { policies: chosen } = await import('../../policies/registry.ts');
    const nova = chosen.filter(({ id }) => id === 'nova');
    const { policies, attempts } = await backtest(entriesOf(refused()), undefined, nova);
    expect(policies.map(({ id }) => id)).toEqual(['nova']);
    expect(Object.keys(attempts[0]?.decisions ?? {})).toEqual(['nova']);
  });

  it('accepts ledger entries as a stream', async () => {
    async function* stream() {
      yield* entriesOf(refused());
    }
    expect(await backtest(stream())).toEqual(await backtest(entriesOf(refused())));
  });
});

describe('the compared attempts', () => {
  it('exclude successful calls, which have a separate count', async () => {
    const script = new Script('m-ok')
      .says(S, 'moving')
      .says(D, 'newShell')
      .returns(null)
      .at(50)
      .says(D, 'arrived')
      .says(S, 'absent');
    const { policies, attempts, onSuccess } = await backtest(entriesOf(script));
    expect(attempts).toEqual([]);
    expect(tallyOf(policies, 'cloudstack')).toMatchObject({ right: 0, wrong: 0, undecided: 0 });
    expect(onSuccess).toMatchObject([
      { id: 'cloudstack', right: 1 },
      { id: 'landfall', right: 1 },
    ]);
  });

  it('exclude running calls and migrations to the same host', async () => {
    const same = new Script('m-same', { destination: S }).returns(agentError);
    const running = new Script('m-running').says(S, 'moving');
    expect((await backtest(entriesOf(same, running))).attempts).toEqual([]);
  });

  it('exclude attempts whose first entry is missing', async () => {
    expect((await backtest(refused().entries.slice(3))).attempts).toEqual([]);
  });

  it('include open attempts whose call has returned', async () => {
    const open = new Script('m-open').returns(agentError).at(40).says(S, 'running');
    const { attempts } = await backtest(entriesOf(open));
    expect(attempts[0]?.truth).toBeNull();
    expect(attempts[0]?.decisions['landfall']).toMatchObject({ host: null, action: 'wait' });
    expect(attempts[0]?.decisions['nova']).toMatchObject({ host: S, action: 'leave', at: 40 });
    expect(attempts[0]?.decisions['zstack-first']).toMatchObject({ host: S, action: 'roll back', at: 0 });
  });
});

describe('the answers to a policy', () => {
  const worldOf = (script: Script) => {
    const replay = new Replay();
    for (const { entry } of script.entries) replay.take(entry);
    return replay.remaining()[0]?.world;
  };

  it('exclude answers to questions from before the return', () => {
    const script = new Script('m-1').returns(agentError);
    script.at(10).says(S, 'moving', 1).at(20).says(S, 'running');
    expect(worldOf(script)?.ask(S, 0)).toMatchObject({ words: 'running (booted)', job: 'none', at: 20 });
  });

  it('contain the first later answer to a question, else the last', () => {
    const script = new Script('m-1').returns(agentError).at(40).says(S, 'moving').says(D, 'shell');
    script.at(2000).event(D, 'Resumed', 'Migrated').at(2100).says(D, 'arrived');
    const world = worldOf(script);
    expect(world?.ask(D, 0)).toMatchObject({ presence: 'incoming', at: 40 });
    expect(world?.ask(D, 40)).toMatchObject({ presence: 'incoming', at: 40 });
    expect(world?.ask(D, 41)).toMatchObject({ presence: 'executing', at: 2100 });
    expect(world?.ask(D, 60_000)).toMatchObject({ presence: 'executing', at: 60_000 });
    expect(world?.ask('host-c', 7)).toMatchObject({ presence: 'unknown', at: 7 });
  });

  it('contain unknown after a timeout, once per question', () => {
    const script = new Script('m-1')
      .says(S, 'moving')
      .says(D, 'newShell')
      .returns(agentError)
      .at(40)
      .says(S, 'running')
      .tick();
    const silentAt = script.entries.at(-1)?.entry.time;
    script.tick().says(D, 'arrived');
    const world = worldOf(script);
    expect(silentAt).toBe(1_002_000 + 5000);
    expect(world?.ask(D, 0)).toMatchObject({ presence: 'unknown', words: 'no answer in time', at: 5000 });
    expect(world?.ask(D, 5001)).toMatchObject({ presence: 'executing' });
  });

  it('exclude answers that the ledger refused', () => {
    const script = new Script('m-1').returns(agentError).at(40).says(S, 'running');
    const last = script.entries.at(-1);
    const refusal = { code: 'X', message: '', remedy: '' };
    const replay = new Replay();
    for (const { entry } of script.entries) replay.take(entry === last?.entry ? { ...entry, refusal } : entry);
    expect(replay.remaining()[0]?.world.ask(S, 0)).toMatchObject({ words: 'the ledger has no answer' });
  });
});

describe('the memory of a replay', () => {
  it('contains only open attempts', () => {
    const replay = new Replay();
    for (let number = 0; number < 50; number += 1) {
      for (const { entry } of refused(`m-${number}`).entries) replay.take(entry);
      expect(replay.openCount).toBe(0);
    }
  });

  it('contains no answers after the last question of a policy', () => {
    const script = contested();
    const replay = new Replay();
    for (let round = 0; round < 20; round += 1) script.tick();
    script.says(S, 'absent');
    for (const { entry } of script.entries) replay.take(entry);
    const world = replay.remaining()[0]?.world;
    expect(world?.ask(S, LAST_ASK_MS)).toMatchObject({ presence: 'executing', at: LAST_ASK_MS });
  });
});

describe('a later verdict that replaces the verdict of a settled attempt', () => {
  it('changes the truth and only the decision of Landfall', async () => {
    const script = refused();
    const before = await backtest(entriesOf(script));
    expect(script.state.attempt.settledAt).not.toBeNull();
    script.at(90_000).event(D, 'Started', 'Migrated').says(S, 'absent').says(D, 'arrived');
    expect(script.state.attempt.verdicts).toHaveLength(2);
    const { attempts, policies } = await backtest(entriesOf(script));
    expect(attempts).toHaveLength(1);
    expect(attempts[0]?.truth).toMatchObject({ host: D });
    expect(attempts[0]?.decisions['landfall']).toMatchObject({ host: D, right: true, at: 90_000 });
    expect(attempts[0]?.decisions['nova']).toMatchObject({
      ...before.attempts[0]?.decisions['nova'],
      right: false,
      cost: 'lock-on-wrong-host',
    });
    expect(tallyOf(policies, 'nova')).toMatchObject({ right: 0, wrong: 1 });
  });
});
