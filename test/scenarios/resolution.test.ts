import { describe, expect, it } from 'vitest';
import type { InputData } from '../../events/inputs.ts';
import { absent, D, paused, running, S, VM } from '../support/machine-spec.ts';
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
