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

  it('describes each rule in one line', () => {
    for (const { rule, label } of policies) expect(`${label}: ${rule}`).not.toContain('\n');
  });

  it('returns undefined for an unknown policy', () => {
    expect(policyOf('oVirt')).toBeUndefined();
  });
});

describe('a caller timeout during a running job', () => {
  const view = world({
    callError: callerTimeout,
    source: { 0: 'moving', 3000: 'absent' },
    destination: { 0: 'shell', 2000: 'arrived' },
  });

  it('misleads every rule that decides at once', () => {
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
  it.each(['running', 'moving', 'leftover', 'paused'] as const)('keeps the record on a source that is %s', (source) => {
    expect(decide('nova', world({ source, destination: 'arrived' }))).toMatchObject({ host: S, action: 'leave' });
  });
  it.each(['absent', 'off'] as const)('completes if the source is %s', (source) => {
    expect(decide('nova', world({ source, destination: 'absent' }))).toMatchObject({ host: D, action: 'complete' });
  });
  it('sets an error without a connection', () => {
    expect(decide('nova', world({ source: 'error', destination: 'arrived' }))).toMatchObject({
      host: null,
      action: 'error',
    });
  });
});

describe('cloudstack and opennebula', () => {
  it.each(['cloudstack', 'opennebula'])('%s destroys the domain on the destination in any state', (id) => {
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
  it('keeps the record on the source after an agent error', () => {
    const view = world({ callError: agentError, source: 'absent', destination: 'arrived' });
    expect(decide('zstack-before', view)).toMatchObject({ host: S, action: 'leave' });
  });
  it.each(['connection', 'caller-timeout', 'caller-lost'] as const)('rolls back without asking after %s', (kind) => {
    const view = world({ callError: { kind, message: '' }, source: 'absent', destination: 'arrived' });
    expect(decide('zstack-before', view)).toEqual({ host: S, action: 'roll back', at: 0 });
  });
});

describe('zstack, the change as first written', () => {
  const first = (view: Parameters<typeof world>[0]) => decide('zstack-first', world(view));
  it('completes if the destination runs, even with a leftover source', () => {
    expect(first({ source: 'leftover', destination: 'arrived' })).toMatchObject({ host: D, action: 'complete' });
  });
  it('accepts a paused destination only for a paused guest', () => {
    expect(first({ destination: 'paused', origin: 'paused' })).toMatchObject({ host: D });
    expect(first({ destination: 'paused', origin: 'running' })).toMatchObject({ host: S, action: 'roll back' });
    expect(first({ destination: 'shell', origin: 'paused' })).toMatchObject({ host: S });
  });
  it.each(['absent', 'off', 'error'] as const)('rolls back on %s', (destination) => {
    expect(first({ source: 'absent', destination })).toMatchObject({ host: S, action: 'roll back' });
  });
  it('rolls back without asking if both hosts are equal', () => {
    const view = { ...world({ destination: 'arrived' }), destination: S };
    expect(decide('zstack-first', view)).toEqual({ host: S, action: 'roll back', at: 0 });
  });
});

describe('zstack, the change as described', () => {
  const described = (view: Parameters<typeof world>[0]) => decide('zstack-described', world(view));
  it('rolls back if the destination is dead or silent', () => {
    expect(described({ source: 'absent', destination: 'error' })).toMatchObject({
      host: S,
      action: 'roll back',
      at: 0,
    });
    expect(described({ source: 'absent', destination: 'absent' })).toMatchObject({ host: S, at: 0 });
  });
  it('completes if only the destination is alive', () => {
    expect(described({ source: 'absent', destination: 'paused' })).toMatchObject({ host: D, action: 'complete' });
    expect(described({ source: 'error', destination: 'arrived' })).toMatchObject({ host: D });
  });
  it('asks again every 10 s while both are alive', () => {
    expect(described({ source: { 0: 'switching', 15_000: 'absent' }, destination: 'arrived' })).toEqual({
      host: D,
      action: 'complete',
      at: 20_000,
    });
  });
  it('rolls back after both were alive for 300 s', () => {
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
  it('names the only host with the guest', () => {
    expect(ganeti({ source: 'absent', destination: 'arrived' })).toMatchObject({ host: D, action: 'complete' });
    expect(ganeti({ source: 'running', destination: 'absent' })).toMatchObject({ host: S, action: 'roll back' });
  });
  it('needs an operator for guests on two hosts or silent hosts', () => {
    expect(ganeti({ source: 'leftover', destination: 'arrived' })).toMatchObject({ host: null, action: 'manual' });
    expect(ganeti({ source: 'error', destination: 'arrived' })).toMatchObject({ host: null, action: 'manual' });
  });
  it('asks other hosts if neither has the guest', () => {
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
  it('keeps a guest that the source still has', () => {
    expect(kubevirt({ source: 'leftover', destination: 'arrived' })).toMatchObject({ host: S, action: 'leave' });
  });
  it('waits at most 60 s for the target', () => {
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
  it('accepts a target paused by a user, not by a fault', () => {
    expect(kubevirt({ source: 'absent', destination: 'paused' })).toMatchObject({ host: D });
    expect(kubevirt({ source: 'absent', destination: 'broken' })).toMatchObject({ host: null, action: 'fail' });
  });
  it('waits for the source before it accepts a running target', () => {
    expect(kubevirt({ source: { 0: 'error', 20_000: 'absent' }, destination: 'arrived' })).toMatchObject({
      host: D,
      at: 20_000,
    });
    expect(kubevirt({ source: 'error', destination: 'arrived' })).toMatchObject({ host: null, action: 'fail' });
  });
});

describe('landfall', () => {
  const recorded = { host: D, outcome: 'completed', contested: false, at: 40 } as const;
  it('returns the recorded verdict', () => {
    expect(decide('landfall', world({ recorded }))).toEqual({ host: D, action: 'complete', at: 40 });
    expect(decide('landfall', world({ recorded: { ...recorded, host: S, outcome: 'rolled-back' } }))).toEqual({
      host: S,
      action: 'roll back',
      at: 40,
    });
  });
  it('names no host without a verdict or for a contested attempt', () => {
    const contested = { host: S, outcome: 'rolled-back', contested: true, at: 300_000 } as const;
    expect(decide('landfall', world({ recorded: contested }))).toEqual({ host: null, action: 'manual', at: 300_000 });
    expect(decide('landfall', world())).toEqual({ host: null, action: 'wait', at: 0 });
  });
});
