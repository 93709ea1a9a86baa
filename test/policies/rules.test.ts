import { describe, expect, it } from 'vitest';
import { policies, policyOf } from '../../policies/registry.ts';
import { agentError, callerTimeout, D, S, world } from './world.ts';

/** Tests each rule in situations where the rules differ. */

const decide = (id: string, view: ReturnType<typeof world>) => policyOf(id)?.decide(view);
const names = (view: ReturnType<typeof world>) =>
  Object.fromEntries(
    policies.filter(({ id }) => id !== 'landfall').map(({ id, decide: rule }) => [id, rule(view).host]),
  );

describe('the registry', () => {
  it('has every policy once', () => {
    const ids = policies.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toEqual([
      'nova',
      'cloudstack',
      'zstack-before',
      'zstack-first',
      'zstack-described',
      'ganeti',
      'opennebula',
      'kubevirt',
      'landfall',
    ]);
  });

  it('says each rule in one line', () => {
    for (const { rule, label } of policies) expect(`${label}: ${rule}`).not.toContain('\n');
  });

  it('knows no other', () => {
    expect(policyOf('oVirt')).toBeUndefined();
  });
});

describe('a caller killed by its own timeout while the job goes on', () => {
  const view = world({
    callError: callerTimeout,
    source: { 0: 'moving', 3000: 'absent' },
    destination: { 0: 'shell', 2000: 'arrived' },
  });

  it('beats every rule that decides at once: the destination is still a shell', () => {
    expect(names(view)).toEqual({
      nova: S,
      cloudstack: S,
      'zstack-before': S,
      'zstack-first': S,
      'zstack-described': S,
      ganeti: null,
      opennebula: S,
      kubevirt: S,
    });
  });
});

describe('nova', () => {
  it.each(['running', 'moving', 'leftover', 'paused'] as const)(
    'leaves the record on a source that says %s',
    (source) => {
      expect(decide('nova', world({ source, destination: 'arrived' }))).toMatchObject({ host: S, action: 'leave' });
    },
  );
  it.each(['absent', 'off'] as const)(
    'completes where the source says %s, whatever the destination holds',
    (source) => {
      expect(decide('nova', world({ source, destination: 'absent' }))).toMatchObject({ host: D, action: 'complete' });
    },
  );
  it('goes to error without a connection', () => {
    expect(decide('nova', world({ source: 'error', destination: 'arrived' }))).toMatchObject({
      host: null,
      action: 'error',
    });
  });
});

describe('cloudstack and opennebula', () => {
  it.each(['cloudstack', 'opennebula'])('%s destroys on the destination whatever it holds', (id) => {
    const at = { host: S, action: 'destroy on destination', at: 0 };
    expect(decide(id, world({ destination: 'arrived' }))).toEqual({ ...at, hits: 'executing' });
    expect(decide(id, world({ destination: 'shell' }))).toEqual({ ...at, hits: 'incoming' });
    expect(decide(id, world({ destination: 'error' }))).toEqual({ ...at, hits: 'unknown' });
  });
  it('cloudstack asks the destination after a success', () => {
    expect(decide('cloudstack', world({ callError: null, destination: 'arrived' }))).toMatchObject({
      host: D,
      action: 'complete',
    });
    expect(decide('cloudstack', world({ callError: null, destination: 'error' }))).toMatchObject({
      host: null,
      action: 'fail',
    });
  });
});

describe('zstack before the change', () => {
  it('looks at the source after an agent error and keeps the record there whatever it hears', () => {
    const view = world({ callError: agentError, source: 'absent', destination: 'arrived' });
    expect(decide('zstack-before', view)).toMatchObject({ host: S, action: 'leave' });
  });
  it.each(['connection', 'caller-timeout', 'caller-lost'] as const)(
    'restores the original state without a look after %s',
    (kind) => {
      const view = world({ callError: { kind, message: '' }, source: 'absent', destination: 'arrived' });
      expect(decide('zstack-before', view)).toEqual({ host: S, action: 'roll back', at: 0 });
    },
  );
});

describe('zstack, the change as first written', () => {
  const first = (view: Parameters<typeof world>[0]) => decide('zstack-first', world(view));
  it('completes where the destination runs, even with a leftover on the source', () => {
    expect(first({ source: 'leftover', destination: 'arrived' })).toMatchObject({ host: D, action: 'complete' });
  });
  it('takes Paused for an arrival only where the guest was paused', () => {
    expect(first({ destination: 'paused', origin: 'paused' })).toMatchObject({ host: D });
    expect(first({ destination: 'paused', origin: 'running' })).toMatchObject({ host: S, action: 'roll back' });
    expect(first({ destination: 'shell', origin: 'paused' })).toMatchObject({ host: S });
  });
  it.each(['absent', 'off', 'error'] as const)('rolls back on %s', (destination) => {
    expect(first({ source: 'absent', destination })).toMatchObject({ host: S, action: 'roll back' });
  });
  it('does not ask a destination that is the source', () => {
    const view = { ...world({ destination: 'arrived' }), destination: S };
    expect(decide('zstack-first', view)).toEqual({ host: S, action: 'roll back', at: 0 });
  });
});

describe('zstack, the change as described', () => {
  const described = (view: Parameters<typeof world>[0]) => decide('zstack-described', world(view));
  it('rolls back where the destination is not alive, silence included', () => {
    expect(described({ source: 'absent', destination: 'error' })).toMatchObject({
      host: S,
      action: 'roll back',
      at: 0,
    });
    expect(described({ source: 'absent', destination: 'absent' })).toMatchObject({ host: S, at: 0 });
  });
  it('completes where only the destination is alive; a silent source counts as dead', () => {
    expect(described({ source: 'absent', destination: 'paused' })).toMatchObject({ host: D, action: 'complete' });
    expect(described({ source: 'error', destination: 'arrived' })).toMatchObject({ host: D });
  });
  it('asks both revised every 10 s while both are alive', () => {
    expect(described({ source: { 0: 'switching', 15_000: 'absent' }, destination: 'arrived' })).toEqual({
      host: D,
      action: 'complete',
      at: 20_000,
    });
  });
  it('rolls back after 300 s of both', () => {
    expect(described({ source: 'leftover', destination: 'arrived' })).toEqual({
      host: S,
      action: 'roll back',
      at: 300_000,
    });
    expect(described({ source: { 0: 'leftover', 300_000: 'absent' }, destination: 'arrived' })).toMatchObject({
      host: D,
      at: 300_000,
    });
  });
});

describe('ganeti', () => {
  const ganeti = (view: Parameters<typeof world>[0]) => decide('ganeti', world(view));
  it('names the one that has it', () => {
    expect(ganeti({ source: 'absent', destination: 'arrived' })).toMatchObject({ host: D, action: 'complete' });
    expect(ganeti({ source: 'running', destination: 'absent' })).toMatchObject({ host: S, action: 'roll back' });
  });
  it('calls a person where both have it, or one is silent', () => {
    expect(ganeti({ source: 'leftover', destination: 'arrived' })).toMatchObject({ host: null, action: 'manual' });
    expect(ganeti({ source: 'error', destination: 'arrived' })).toMatchObject({ host: null, action: 'manual' });
  });
  it('looks elsewhere where neither has it', () => {
    const neither = { source: 'absent', destination: 'off' } as const;
    expect(ganeti({ ...neither, elsewhere: { c: 'absent', d: 'running' } })).toMatchObject({
      host: 'd',
      action: 'complete',
    });
    expect(ganeti({ ...neither, elsewhere: { c: 'running', d: 'running' } })).toMatchObject({
      host: null,
      action: 'manual',
    });
    expect(ganeti(neither)).toMatchObject({ host: null, action: 'manual' });
  });
});

describe('kubevirt', () => {
  const kubevirt = (view: Parameters<typeof world>[0]) => decide('kubevirt', world(view));
  it('stays where the source still has the guest', () => {
    expect(kubevirt({ source: 'leftover', destination: 'arrived' })).toMatchObject({ host: S, action: 'leave' });
  });
  it('waits for the target, at most 60 s', () => {
    expect(kubevirt({ source: 'absent', destination: { 0: 'error', 45_000: 'arrived' } })).toEqual({
      host: D,
      action: 'complete',
      at: 50_000,
    });
    expect(kubevirt({ source: 'absent', destination: { 0: 'error', 61_000: 'arrived' } })).toEqual({
      host: null,
      action: 'fail',
      at: 60_000,
    });
  });
  it('counts a target paused by the user, not one paused by a fault', () => {
    expect(kubevirt({ source: 'absent', destination: 'paused' })).toMatchObject({ host: D });
    expect(kubevirt({ source: 'absent', destination: 'broken' })).toMatchObject({ host: null, action: 'fail' });
  });
  it('does not count a running target before the source says the migration ended', () => {
    expect(kubevirt({ source: { 0: 'error', 20_000: 'absent' }, destination: 'arrived' })).toMatchObject({
      host: D,
      at: 20_000,
    });
    expect(kubevirt({ source: 'error', destination: 'arrived' })).toMatchObject({ host: null, action: 'fail' });
  });
});

describe('landfall', () => {
  const recorded = { host: D, outcome: 'completed', contested: false, at: 40 } as const;
  it('repeats its recorded verdict', () => {
    expect(decide('landfall', world({ recorded }))).toEqual({ host: D, action: 'complete', at: 40 });
    expect(decide('landfall', world({ recorded: { ...recorded, host: S, outcome: 'rolled-back' } }))).toEqual({
      host: S,
      action: 'roll back',
      at: 40,
    });
  });
  it('vouches for no host where it is contested, or has not decided', () => {
    const contested = { host: S, outcome: 'rolled-back', contested: true, at: 300_000 } as const;
    expect(decide('landfall', world({ recorded: contested }))).toEqual({ host: null, action: 'manual', at: 300_000 });
    expect(decide('landfall', world())).toEqual({ host: null, action: 'wait', at: 0 });
  });
});
