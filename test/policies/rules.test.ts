import { describe, expect, it } from 'vitest';
import { policies, policyOf } from '../../policies/registry.ts';
import { agentError, callerTimeout, D, S, world } from './world.ts';

/** Tests each rule in situations where the rules differ. */

const decide = (id: string, view: ReturnType<typeof world>) => policyOf(id)?.decide(view);
const names = (view: ReturnType<typeof world>) =>
  Object.fromEntries(
    policies.filter(({ id }) => id !== 'landfall').map(({ id, decide: rule }) => [id, rule(view).host]),
  );

describe('the list of policies', () => {
  it('contains every policy once', () => {
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

  it('describes each policy in one line', () => {
    for (const { rule, label } of policies) expect(`${label}: ${rule}`).not.toContain('\n');
  });

  it('returns undefined for the id of an unknown policy', () => {
    expect(policyOf('oVirt')).toBeUndefined();
  });
});

describe('a caller timeout during a running job', () => {
  const view = world({
    callError: callerTimeout,
    source: { 0: 'moving', 3000: 'absent' },
    destination: { 0: 'shell', 2000: 'arrived' },
  });

  it('misleads every policy that decides at once', () => {
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

describe('the policy nova', () => {
  it.each(['running', 'moving', 'leftover', 'paused'] as const)(
    'keeps the record on a source whose guest is %s',
    (source) => {
      expect(decide('nova', world({ source, destination: 'arrived' }))).toMatchObject({ host: S, action: 'leave' });
    },
  );
  it.each(['absent', 'off'] as const)('completes the migration if the guest on the source is %s', (source) => {
    expect(decide('nova', world({ source, destination: 'absent' }))).toMatchObject({ host: D, action: 'complete' });
  });
  it('sets an error if there is no connection', () => {
    expect(decide('nova', world({ source: 'error', destination: 'arrived' }))).toMatchObject({
      host: null,
      action: 'error',
    });
  });
});

describe('the policy cloudstack or opennebula', () => {
  it.each(['cloudstack', 'opennebula'])('destroys the domain on the destination in any state: %s', (id) => {
    const at = { host: S, action: 'destroy on destination', at: 0 };
    expect(decide(id, world({ destination: 'arrived' }))).toEqual({ ...at, hits: 'executing' });
    expect(decide(id, world({ destination: 'shell' }))).toEqual({ ...at, hits: 'incoming' });
    expect(decide(id, world({ destination: 'error' }))).toEqual({ ...at, hits: 'unknown' });
  });
  it('asks the destination after a successful call: cloudstack', () => {
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

describe('the policy zstack before its change', () => {
  it('keeps the record on the source after an agent error', () => {
    const view = world({ callError: agentError, source: 'absent', destination: 'arrived' });
    expect(decide('zstack-before', view)).toMatchObject({ host: S, action: 'leave' });
  });
  it.each(['connection', 'caller-timeout', 'caller-lost'] as const)(
    'rolls back without a question to the hosts after %s',
    (kind) => {
      const view = world({ callError: { kind, message: '' }, source: 'absent', destination: 'arrived' });
      expect(decide('zstack-before', view)).toEqual({ host: S, action: 'roll back', at: 0 });
    },
  );
});

describe('the policy zstack with its change as first written', () => {
  const first = (view: Parameters<typeof world>[0]) => decide('zstack-first', world(view));
  it('completes if the destination runs, even with a copy at the source', () => {
    expect(first({ source: 'leftover', destination: 'arrived' })).toMatchObject({ host: D, action: 'complete' });
  });
  it('accepts a paused destination only if the guest was paused before', () => {
    expect(first({ destination: 'paused', origin: 'paused' })).toMatchObject({ host: D });
    expect(first({ destination: 'paused', origin: 'running' })).toMatchObject({ host: S, action: 'roll back' });
    expect(first({ destination: 'shell', origin: 'paused' })).toMatchObject({ host: S });
  });
  it.each(['absent', 'off', 'error'] as const)('rolls back if the answer of the destination is %s', (destination) => {
    expect(first({ source: 'absent', destination })).toMatchObject({ host: S, action: 'roll back' });
  });
  it('rolls back without a question if both hosts are the same', () => {
    const view = { ...world({ destination: 'arrived' }), destination: S };
    expect(decide('zstack-first', view)).toEqual({ host: S, action: 'roll back', at: 0 });
  });
});

describe('the policy zstack with its change as described', () => {
  const described = (view: Parameters<typeof world>[0]) => decide('zstack-described', world(view));
  it('rolls back if the destination has no guest or is silent', () => {
    expect(described({ source: 'absent', destination: 'error' })).toMatchObject({
      host: S,
      action: 'roll back',
      at: 0,
    });
    expect(described({ source: 'absent', destination: 'absent' })).toMatchObject({ host: S, at: 0 });
  });
  it('completes if only the destination has the guest', () => {
    expect(described({ source: 'absent', destination: 'paused' })).toMatchObject({ host: D, action: 'complete' });
    expect(described({ source: 'error', destination: 'arrived' })).toMatchObject({ host: D });
  });
  it('asks again every 10 s while both hosts have the guest', () => {
    expect(described({ source: { 0: 'switching', 15_000: 'absent' }, destination: 'arrived' })).toEqual({
      host: D,
      action: 'complete',
      at: 20_000,
    });
  });
  it('rolls back after both hosts had the guest for 300 s', () => {
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

describe('the policy ganeti', () => {
  const ganeti = (view: Parameters<typeof world>[0]) => decide('ganeti', world(view));
  it('names the only host that has the guest', () => {
    expect(ganeti({ source: 'absent', destination: 'arrived' })).toMatchObject({ host: D, action: 'complete' });
    expect(ganeti({ source: 'running', destination: 'absent' })).toMatchObject({ host: S, action: 'roll back' });
  });
  it('requires an operator for guests on two hosts or silent hosts', () => {
    expect(ganeti({ source: 'leftover', destination: 'arrived' })).toMatchObject({ host: null, action: 'manual' });
    expect(ganeti({ source: 'error', destination: 'arrived' })).toMatchObject({ host: null, action: 'manual' });
  });
  it('asks other hosts if source and destination lack the guest', () => {
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

describe('the policy kubevirt', () => {
  const kubevirt = (view: Parameters<typeof world>[0]) => decide('kubevirt', world(view));
  it('keeps a guest on the source if the source still has it', () => {
    expect(kubevirt({ source: 'leftover', destination: 'arrived' })).toMatchObject({ host: S, action: 'leave' });
  });
  it('gives the target at most 60 s', () => {
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
  it('accepts a target that a user paused, but no failed target', () => {
    expect(kubevirt({ source: 'absent', destination: 'paused' })).toMatchObject({ host: D });
    expect(kubevirt({ source: 'absent', destination: 'broken' })).toMatchObject({ host: null, action: 'fail' });
  });
  it('asks the source before it accepts a running target', () => {
    expect(kubevirt({ source: { 0: 'error', 20_000: 'absent' }, destination: 'arrived' })).toMatchObject({
      host: D,
      at: 20_000,
    });
    expect(kubevirt({ source: 'error', destination: 'arrived' })).toMatchObject({ host: null, action: 'fail' });
  });
});

describe('the policy landfall', () => {
  const recorded = { host: D, outcome: 'completed', contested: false, at: 40 } as const;
  it('names the host of the recorded verdict', () => {
    expect(decide('landfall', world({ recorded }))).toEqual({ host: D, action: 'complete', at: 40 });
    expect(decide('landfall', world({ recorded: { ...recorded, host: S, outcome: 'rolled-back' } }))).toEqual({
      host: S,
      action: 'roll back',
      at: 40,
    });
  });
  it('names no host if the attempt is contested or has no verdict', () => {
    const contested = { host: S, outcome: 'rolled-back', contested: true, at: 300_000 } as const;
    expect(decide('landfall', world({ recorded: contested }))).toEqual({ host: null, action: 'manual', at: 300_000 });
    expect(decide('landfall', world())).toEqual({ host: null, action: 'wait', at: 0 });
  });
});
