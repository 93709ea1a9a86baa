import { describe, expect, it } from 'vitest';
import type { InputData } from '../../events/inputs.ts';
import { absent, D, jobs, paused, running, S, shutOff, T, VM } from '../support/machine-spec.ts';
import { PartitionWorld, type Said } from '../support/partition-world.ts';

/** An operator's resolution of a contested attempt, compared with the hosts' own answers. */

const died: Said = { [S]: paused('migrating'), [D]: absent };

async function contested(says: Said): Promise<PartitionWorld> {
  const world = new PartitionWorld();
  await world.migrates(says);
  await world.fails();
  await world.wait(400);
  expect(world.attempt.value).toEqual({ RolledBack: 'contested' });
  return world;
}

async function resolve(world: PartitionWorld, guest: Partial<InputData<'landfall.migration.resolved.v1'>>) {
  const data = { migration: 'm1', reason: 'console checked', attest: true, operator: 'ops', ...guest };
  const taken = await world.send('landfall.migration.resolved.v1', data);
  return taken.outcome === 'refused' ? taken.refusal.code : null;
}

describe('a resolution against the answer of its host', () => {
  it('is refused if the newest complete answer lacks the guest', async () => {
    const world = await contested(died);
    expect(await resolve(world, { host: D })).toBe('HOST_LACKS_GUEST');
    expect(world.attempt.value).toEqual({ RolledBack: 'contested' });
    expect(world.commands.map(({ kind }) => kind)).not.toContain('destroy-leftover');
  });

  it('is accepted for a host that has the guest', async () => {
    const world = await contested(died);
    expect(await resolve(world, { host: S })).toBeNull();
    expect(world.ledger.record(VM)).toMatchObject({ host: S, certainty: 'proven' });
  });

  it('is accepted for a silent host, and destroys nothing', async () => {
    const world = await contested({ [S]: paused('migrating') });
    expect(await resolve(world, { host: D })).toBeNull();
    await world.acknowledgeAll();
    expect(world.commands.map(({ kind }) => kind)).not.toContain('destroy-leftover');
  });
});

describe('a resolution that the guest is stopped', () => {
  it('destroys and resumes nothing', async () => {
    const world = await contested(died);
    expect(await resolve(world, { stopped: true })).toBeNull();
    expect(world.ledger.record(VM)).toMatchObject({ host: S, certainty: 'proven', power: 'stopped' });
    await world.acknowledgeAll();
    expect(world.commands.map(({ kind }) => kind)).not.toContain('destroy-leftover');
    expect(world.commands.map(({ kind }) => kind)).not.toContain('resume-guest');
    expect(world.attempt.value).toEqual({ RolledBack: 'settled' });
  });

  it('is refused while a host answers that it runs the guest', async () => {
    const world = await contested({ [S]: running() });
    expect(await resolve(world, { stopped: true })).toBe('GUEST_RUNNING');
  });
});

/** A contested attempt whose hosts stopped answering: the operator looks at the hosts by other means. */
async function contestedThenSilent(says: Said): Promise<PartitionWorld> {
  const world = await contested(says);
  world.says = {};
  return world;
}

const kindsOf = ({ commands }: PartitionWorld) => commands.map(({ kind }) => kind);

describe('a resolution of an attempt whose host may answer', () => {
  const silentDestination: Said = { [S]: paused('migrating') };

  it.each([D, S])('waits until %s answers', async (host) => {
    const world = await contestedThenSilent({ [S]: paused('migrating'), [D]: paused('user', jobs.unknown) });
    expect(await resolve(world, { host })).toBeNull();
    expect(world.attempt.value).toEqual({ RolledBack: 'contested' });
    world.says = { [host]: running() };
    await world.answer();
    expect(world.ledger.record(VM)).toMatchObject({ host, certainty: 'proven' });
  });

  it.each([
    [D, absent],
    [D, shutOff('crashed')],
    [S, absent],
    [S, shutOff('crashed')],
  ])('refuses %s if its new answer lacks the guest', async (host, words) => {
    const world = await contestedThenSilent(silentDestination);
    expect(await resolve(world, { host })).toBeNull();
    world.says = { [host]: words };
    await world.answer();
    expect(world.attempt.attempt.resolving?.lack).toBeDefined();
    expect(world.attempt.attempt.verdicts.filter(({ row }) => row === 'operator')).toEqual([]);
    expect(kindsOf(world)).not.toContain('destroy-leftover');
    expect(await resolve(world, { host })).toBe('HOST_LACKS_GUEST');
  });

  it('accepts a host that stays silent, and destroys nothing', async () => {
    const world = await contestedThenSilent({ [S]: paused('migrating'), [D]: paused('user', jobs.unknown) });
    expect(await resolve(world, { host: D })).toBeNull();
    await world.wait(4);
    expect(world.attempt.value).toEqual({ RolledBack: 'contested' });
    await world.wait(2);
    expect(world.ledger.record(VM)).toMatchObject({ host: D, certainty: 'proven' });
    await world.acknowledgeAll();
    expect(kindsOf(world)).not.toContain('destroy-leftover');
    expect(kindsOf(world)).not.toContain('resume-guest');
  });

  it('accepts a host whose query failed, and destroys nothing', async () => {
    const world = await contestedThenSilent(silentDestination);
    await resolve(world, { host: D });
    world.says = { [D]: { ok: false, error: 'error: failed to connect to the hypervisor', domain: null } };
    await world.answer();
    await world.acknowledgeAll();
    expect(world.ledger.record(VM)).toMatchObject({ host: D, certainty: 'proven' });
    expect(kindsOf(world)).not.toContain('destroy-leftover');
  });

  it('asks a third host too', async () => {
    const world = await contested({ [S]: paused('migrating') });
    await world.send('landfall.host.facts.v1', { host: T, cluster: 'c', stream: 'connected' });
    world.says = {};
    expect(await resolve(world, { host: T })).toBeNull();
    world.says = { [T]: absent };
    await world.answer();
    expect(world.attempt.attempt.resolving).toMatchObject({ host: T, lack: 'not in the complete listing' });
  });

  it('gives way to evidence that settles the attempt first', async () => {
    const world = await contestedThenSilent({ [S]: running(jobs.out) });
    await resolve(world, { host: S });
    world.says = { [S]: absent, [D]: running() };
    await world.send('landfall.host.lifecycle.v1', { host: D, event: 'Resumed', detail: 'Migrated' });
    expect(world.attempt.attempt.resolving).toBeUndefined();
    expect(world.ledger.record(VM)).toMatchObject({ host: D, certainty: 'proven' });
  });

  it('waits through a restart', async () => {
    const world = await contestedThenSilent(silentDestination);
    await resolve(world, { host: D });
    world.crash();
    await world.wait(6);
    expect(world.ledger.record(VM)).toMatchObject({ host: D, certainty: 'proven' });
  });

  it('refuses a fenced host', async () => {
    const world = await contestedThenSilent(silentDestination);
    await world.send('landfall.host.fenced.v1', { host: D, by: 'ipmi' });
    expect(await resolve(world, { host: D })).toBe('HOST_LACKS_GUEST');
  });
});

describe('a stuck step', () => {
  const release = `m1/v1/release-lock/v/${S}`;
  const stuck = async () => {
    const world = new PartitionWorld();
    await world.migrates({ [S]: absent, [D]: running() });
    await world.fails();
    return world;
  };

  it('is settled by an operator, and the next step follows', async () => {
    const world = await stuck();
    await world.wait(120);
    expect(world.attempt.attempt.alarms.map(({ code }) => code)).toEqual(['lock-stuck']);
    expect(await resolve(world, { command: release })).toBeNull();
    expect(kindsOf(world)).toContain('acquire-lock');
    await world.acknowledgeAll();
    expect(world.attempt.value).toEqual({ Completed: 'settled' });
    expect(world.attempt.attempt.steps.find(({ command }) => command === release)).toMatchObject({
      status: 'done',
      ended: 'settled by ops: console checked',
    });
  });

  it('is settled after its host refused it', async () => {
    const world = await stuck();
    await world.send('landfall.command.acknowledged.v1', { command: release, ok: false, error: 'busy' });
    expect(await resolve(world, { command: release })).toBeNull();
    expect(kindsOf(world)).toContain('acquire-lock');
  });

  it('needs an attestation', async () => {
    expect(await resolve(await stuck(), { command: release, attest: false })).toBe('NOT_ATTESTED');
  });

  it('is not settled before it was sent', async () => {
    const acquire = `m1/v1/acquire-lock/v/${D}`;
    const world = await stuck();
    expect(await resolve(world, { command: acquire })).toBe('STEP_NOT_OPEN');
    expect(await resolve(world, { command: 'm1/v1/other' })).toBe('STEP_NOT_OPEN');
  });
});
