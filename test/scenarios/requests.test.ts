import { describe, expect, it } from 'vitest';
import type { InputData } from '../../events/inputs.ts';
import { absent, D, jobs, running, S, shell, VM } from '../support/machine-spec.ts';
import { PartitionWorld as World } from '../support/partition-world.ts';

/** Requests of an orchestrator or an HA manager for a VM without an open attempt. */

type Action = InputData<'landfall.vm.requested.v1'>['action'];
const STARTS = ['start', 'ha-restart'] as const;
const THIRD = 'gamma';

async function request(world: World, action: Action, host = THIRD): Promise<string | null> {
  const taken = await world.send('landfall.vm.requested.v1', { action, host });
  return taken.outcome === 'refused' ? taken.refusal.code : null;
}

async function declared(data: Partial<InputData<'landfall.vm.declared.v1'>>): Promise<World> {
  const world = new World();
  for (const host of [S, D]) await world.send('landfall.host.facts.v1', { host, stream: 'connected', boot: 'boot-1' });
  await world.send('landfall.vm.declared.v1', { name: 'web-1', host: S, power: 'running', ...data });
  return world;
}

describe('a start request for a VM that its host runs', () => {
  it.each(STARTS)('is refused for %s after a proven migration, with host and certainty', async (action) => {
    const world = new World();
    await world.migrates({ [S]: absent, [D]: running() });
    await world.fails();
    await world.acknowledgeAll();
    const taken = await world.send('landfall.vm.requested.v1', { action, host: THIRD });
    expect(taken).toMatchObject({
      outcome: 'refused',
      refusal: { code: 'ALREADY_RUNNING', message: `the guest is running on ${D} (certainty proven)` },
    });
  });

  it.each(['running', 'paused', 'broken'] as const)('is refused while the guest is %s', async (power) => {
    const world = await declared({ power });
    for (const action of STARTS) expect(await request(world, action)).toBe('ALREADY_RUNNING');
  });

  it('is refused for the host that already runs the guest', async () => {
    expect(await request(await declared({}), 'start', S)).toBe('ALREADY_RUNNING');
  });

  it('is refused after an unreported migration moved the guest', async () => {
    const world = await declared({});
    await world.send('landfall.host.lifecycle.v1', { host: S, event: 'Stopped', detail: 'Migrated' });
    expect(await request(world, 'ha-restart')).toBe('ALREADY_RUNNING');
  });

  it.each(['stop', 'migrate'] as const)('accepts the request %s', async (action) => {
    expect(await request(await declared({}), action)).toBeNull();
  });

  it('is refused with ATTEMPT_OPEN while an attempt is open', async () => {
    const world = new World();
    await world.migrates({ [S]: running(jobs.out), [D]: shell });
    expect(await request(world, 'start')).toBe('ATTEMPT_OPEN');
  });
});

describe('a start request for a VM that no host runs', () => {
  it.each([
    ['was declared stopped', { power: 'stopped' }],
    ['has no host', { host: null }],
    ['has never reported its power', { power: 'unknown' }],
  ] as const)('is accepted if the VM %s', async (_, data) => {
    const world = await declared(data);
    for (const action of STARTS) expect(await request(world, action)).toBeNull();
  });

  it('is accepted after the host reported that the guest ended', async () => {
    const world = await declared({});
    await world.send('landfall.host.lifecycle.v1', { host: S, event: 'Stopped', detail: 'Shutdown' });
    expect(await request(world, 'ha-restart')).toBeNull();
  });
});

describe('a start request for a VM whose host was fenced', () => {
  const fenced = async (host = S) => {
    const world = await declared({ host });
    await world.send('landfall.host.fenced.v1', { host, by: 'ipmi' });
    return world;
  };

  it.each([S, 'unregistered'])('is accepted if the requested host is not %s', async (host) => {
    expect(await request(await fenced(host), 'ha-restart')).toBeNull();
  });

  it('is accepted after a restart of the service', async () => {
    const world = await fenced();
    world.crash();
    expect(await request(world, 'ha-restart')).toBeNull();
  });

  it('moves the record of the VM to the host that starts it', async () => {
    const world = await fenced();
    await world.send('landfall.host.lifecycle.v1', { host: D, event: 'Started', detail: 'Booted' });
    expect(world.ledger.record(VM)).toMatchObject({ host: D, lastHost: S, certainty: 'proven', power: 'running' });
    expect(await request(world, 'ha-restart')).toBe('ALREADY_RUNNING');
  });

  it.each([
    ['has another boot', { boot: 'boot-2' }],
    ['connects its event stream', { stream: 'connected' }],
    ['has a speaking agent', { agent: 'speaking' }],
  ] as const)('is refused again once the host %s', async (_, facts) => {
    const world = await fenced();
    await world.send('landfall.host.facts.v1', { host: S, zone: 'z', boot: 'boot-1' });
    expect(await request(world, 'start')).toBeNull();
    await world.send('landfall.host.facts.v1', { host: S, ...facts });
    expect(await request(world, 'start')).toBe('ALREADY_RUNNING');
  });
});
