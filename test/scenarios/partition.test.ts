import { describe, expect, it } from 'vitest';
import type { Entry } from '../../events/entries.ts';
import type { InputData } from '../../events/inputs.ts';
import type { Head } from '../../log/port.ts';
import { unknownVm } from '../../machines/vm.ts';
import { locksOf } from '../../projections/locks.ts';
import { absent, D, jobs, paused, running, S, shell, shutOff, T, VM } from '../support/machine-spec.ts';
import { CLOCK, PartitionWorld as World, type Said } from '../support/partition-world.ts';

/** Acceptance scenarios for redelivery, crashes and rebuilding of a partition, with their numbers. */

const moving: Said = { [S]: running(jobs.out), [D]: shell };
const landed: Said = { [S]: absent, [D]: running() };
const refusalOf = (taken: { outcome: string; refusal?: { code: string } }) => taken.refusal?.code;

describe('a redelivered input', () => {
  it('changes nothing in the ledger (scenario 30)', async () => {
    const world = new World();
    await world.migrates(landed);
    const data = { migration: 'm1', ok: false, error: { kind: 'libvirt', message: 'x' } } as const;
    await world.send('landfall.migration.returned.v1', data, 'r1');
    const before = world.ledger.entries.length;
    expect(await world.send('landfall.migration.returned.v1', data, 'r1')).toMatchObject({ outcome: 'duplicate' });
    world.crash();
    expect(await world.send('landfall.migration.returned.v1', data, 'r1')).toMatchObject({ outcome: 'duplicate' });
    expect(world.ledger.entries).toHaveLength(before);
    expect(world.verdicts()).toHaveLength(1);
  });

  it('is refused if its content differs from the first delivery (scenario 30)', async () => {
    const world = new World();
    await world.migrates(moving);
    await world.send('landfall.host.lifecycle.v1', { host: D, event: 'Started', detail: 'Migrated' }, 'x');
    const before = JSON.stringify(world.attempt);
    const taken = await world.send(
      'landfall.host.lifecycle.v1',
      { host: D, event: 'Resumed', detail: 'Migrated' },
      'x',
    );
    expect(refusalOf(taken)).toBe('IDENTITY_CONFLICT');
    expect(JSON.stringify(world.attempt)).toBe(before);
  });
});

describe('a restart after a crash', () => {
  it('keeps the original deadline in the middle of rechecking (scenario 33)', async () => {
    const world = new World();
    await world.migrates(moving);
    await world.fails();
    const deadline = world.now + 300_000;
    await world.wait(175);
    world.crash();
    expect((await world.driver()).partition.openCount).toBe(1);
    await world.wait(124);
    expect(world.verdicts()).toHaveLength(0);
    await world.wait(1);
    expect(world.verdicts().map(({ time }) => time)).toEqual([deadline]);
    expect(world.attempt.attempt.verdicts[0]).toMatchObject({ row: 'moving', contested: true, decidedAt: deadline });
  });

  it('fires each overdue timer once and starts the final round (scenario 33)', async () => {
    const world = new World();
    await world.migrates(moving);
    await world.fails();
    await world.wait(100);
    world.crash();
    world.says = landed;
    world.now += 3_600_000;
    await world.wait(0);
    expect(world.attempt.attempt.verdicts[0]).toMatchObject({ row: 'landed', outcome: 'completed' });
    expect(world.verdicts()).toHaveLength(1);
  });

  it('repeats a decision that was not committed exactly once (scenario 34)', async () => {
    const world = new World();
    await world.migrates(landed);
    const driver = await world.driver();
    driver.partition.take(
      world.event('landfall.migration.returned.v1', { migration: 'm1', ok: true }, 'r1'),
      null,
      world.now,
      CLOCK,
    );
    world.crash();
    expect(world.attempt.value).toEqual({ Migrating: 'inFlight' });
    await world.send('landfall.migration.returned.v1', { migration: 'm1', ok: true }, 'r1');
    expect(world.verdicts()).toHaveLength(1);
    expect(world.commands.map(({ command }) => command)).toEqual(['m1/v1/post-migrate', 'm1/v1/release-lock/v/alpha']);
  });

  it('sends unacknowledged commands again with the same ids (scenario 34)', async () => {
    const world = new World();
    await world.migrates(landed);
    await world.fails();
    world.crash();
    await world.wait(5);
    const ids = world.commands.map((command) => `${command.command}#${command.try}`);
    expect(ids).toEqual([
      'm1/v1/post-migrate#1',
      'm1/v1/release-lock/v/alpha#1',
      'm1/v1/post-migrate#2',
      'm1/v1/release-lock/v/alpha#2',
    ]);
    expect(new Set(world.commands.map(({ token }) => token)).size).toBe(1);
  });

  it('acquires no lock until the release is acknowledged (scenario 34)', async () => {
    const world = new World();
    await world.migrates(landed);
    await world.fails();
    world.crash();
    await world.wait(30);
    expect(world.commands.map(({ kind }) => kind)).not.toContain('acquire-lock');
    await world.send('landfall.command.acknowledged.v1', { command: 'm1/v1/release-lock/v/alpha', ok: true });
    expect(world.commands.at(-1)).toMatchObject({ kind: 'acquire-lock', host: D, mode: 'exclusive' });
  });
});

describe('a VM with an open attempt', () => {
  it.each(['migrate', 'start', 'stop', 'ha-restart'] as const)(
    'refuses the request to %s and names the open attempt (scenario 45)',
    async (action) => {
      const world = new World();
      await world.migrates(moving);
      for (const move of [() => world.fails(), () => world.wait(400)]) {
        const taken = await world.send('landfall.vm.requested.v1', { action });
        expect(taken).toMatchObject({
          outcome: 'refused',
          refusal: { code: 'ATTEMPT_OPEN', message: expect.stringContaining('m1') },
        });
        await move();
      }
      expect(world.attempt.value).toEqual({ RolledBack: 'contested' });
      expect(refusalOf(await world.send('landfall.vm.requested.v1', { action }))).toBe('ATTEMPT_OPEN');
    },
  );

  it('settles or supersedes the open attempt when another migration is reported (scenario 45)', async () => {
    for (const [says, value] of [
      [landed, { Completed: 'settling' }],
      [moving, { RolledBack: 'superseded' }],
    ] as const) {
      const world = new World();
      await world.migrates(says);
      await world.fails();
      if (says === landed) world.says = {};
      await world.send('landfall.migration.started.v1', { migration: 'm2', source: D, destination: S });
      expect(world.attempt.value).toEqual(value);
      expect(world.ledger.record(VM)?.lastMigration).toBe('m2');
    }
  });

  it('keeps its open attempt after a call to the same host (scenario 45)', async () => {
    const world = new World();
    await world.migrates(moving);
    await world.fails();
    await world.send('landfall.migration.started.v1', { migration: 'm2', source: S, destination: S });
    const error = { kind: 'libvirt' as const, message: 'the domain has a job already' };
    await world.send('landfall.migration.returned.v1', { migration: 'm2', ok: false, error });
    expect(world.attempt.value).toEqual({ Rechecking: 'watching' });
    expect(world.ledger.record(VM)).toMatchObject({ lastMigration: 'm1', certainty: 'provisional' });
    world.says = landed;
    await world.wait(10);
    expect(world.attempt.attempt.verdicts.at(-1)).toMatchObject({ row: 'landed', host: D });
    expect(world.ledger.record(VM)).toMatchObject({ host: D });
  });

  it('closes a superseded attempt although its hosts are silent (scenario 45)', async () => {
    const world = new World();
    await world.migrates({});
    await world.send('landfall.migration.started.v1', { migration: 'm2', source: S, destination: D });
    await world.wait(60);
    expect(world.ledger.record(VM)?.open).toEqual(['m2']);
  });
});

describe('a reconnected event stream', () => {
  /** The destination's shell stops, and the event that its CPUs ran in between is missing. */
  async function shellEnded(world: World, between: () => Promise<unknown>): Promise<void> {
    await world.migrates({});
    await world.send('landfall.host.lifecycle.v1', { host: D, event: 'Started', detail: 'Migrated' });
    await between();
    await world.send('landfall.host.lifecycle.v1', { host: D, event: 'Stopped', detail: 'Failed' });
    world.says = { [S]: paused('migrating'), [D]: absent };
    await world.fails();
    await world.answer();
  }
  const rows = (world: World) => world.attempt.attempt.verdicts.map(({ row }) => row);

  it('does not prove a stopped destination, so the source is not resumed', async () => {
    const world = new World();
    await shellEnded(world, () => world.send('landfall.host.facts.v1', { host: D, stream: 'connected' }));
    await world.wait(400);
    expect(rows(world)).toEqual(['ran-and-died']);
    expect(world.commands.some(({ kind }) => kind === 'resume-guest')).toBe(false);
  });

  it('proves that the destination never ran if the stream had no gap', async () => {
    const world = new World();
    await shellEnded(world, () => Promise.resolve());
    expect(rows(world)).toEqual(['stalled']);
  });
});

describe('a host registered while an attempt waits', () => {
  it('is asked in the next round', async () => {
    const world = new World();
    await world.migrates({ [S]: shutOff('crashed'), [D]: absent });
    await world.fails();
    expect(world.attempt).toMatchObject({ value: { Rechecking: 'watching' }, attempt: { knownHosts: [] } });
    world.says = { ...world.says, [T]: running() };
    await world.send('landfall.host.facts.v1', { host: T, zone: 'z', cluster: 'c', stream: 'connected' });
    await world.wait(10);
    expect(world.attempt.attempt.verdicts).toMatchObject([{ row: 'elsewhere', host: T, outcome: 'completed' }]);
  });
});

describe('an attempt followed by further migration calls', () => {
  it('gets exactly one final round before the next attempt', async () => {
    const world = new World();
    await world.migrates({});
    for (let call = 2; call <= 60; call += 1)
      await world.send('landfall.migration.started.v1', { migration: `m${call}`, source: S, destination: D });
    const calls = world.ledger.entries.filter(
      ({ cause }) => cause.kind === 'input' && cause.type.endsWith('started.v1'),
    );
    expect(calls.length).toBeLessThan(60 * 3);
    await world.wait(60);
    expect(world.attempt.attempt).toMatchObject({ supersededBy: 'm2', verdicts: [{ outcome: 'rolled-back' }] });
  });
});

describe('reported lock holders', () => {
  const reports = (world: World, volume: string, ...hosts: string[]) =>
    world.send('landfall.volume.holders.v1', { volume, holders: hosts.map((host) => ({ host, mode: 'exclusive' })) });
  const heldIn = (world: World) => Object.keys(world.ledger.record(VM)?.holders ?? {});

  it('are stored for an undeclared volume while the volume has holders', async () => {
    const world = new World();
    await world.migrates(moving);
    await reports(world, 'overlay-1', S);
    await reports(world, 'v');
    expect(heldIn(world)).toEqual(['overlay-1', 'v']);
    await reports(world, 'overlay-1');
    await reports(world, 'overlay-2');
    expect(heldIn(world)).toEqual(['v']);
  });

  it('are refused for too many undeclared volumes', async () => {
    const world = new World();
    await world.migrates(moving);
    for (let nth = 0; nth < 64; nth += 1)
      expect(await reports(world, `other-${nth}`, S)).toEqual({ outcome: 'consumed' });
    expect(refusalOf(await reports(world, 'one-too-many', S))).toBe('TOO_MANY_VOLUMES');
    expect(await reports(world, 'other-3', D)).toEqual({ outcome: 'consumed' });
    expect(await reports(world, 'v', S)).toEqual({ outcome: 'consumed' });
  });
});

describe('an answer with disks', () => {
  const disks = [{ volume: 'data', shareable: false }];
  const volumesOf = (world: World) => world.ledger.record(VM)?.volumes.map(({ volume }) => volume);
  const answers = (world: World, question: string) =>
    world.send('landfall.host.answered.v1', { question, host: S, ok: true, domain: null, disks });

  it('adds the volumes that the declaration lacks', async () => {
    const world = new World();
    await world.migrates({});
    await answers(world, world.ledger.entries.flatMap(({ questions }) => questions)[0]?.question ?? '');
    expect(volumesOf(world)).toEqual(['v', 'data']);
  });

  it('adds no volume if its question was never asked', async () => {
    const world = new World();
    await world.migrates({});
    expect(refusalOf(await answers(world, 'other/q1'))).toBe('UNKNOWN_ATTEMPT');
    expect(volumesOf(world)).toEqual(['v']);
  });
});

describe('an acknowledged lock command', () => {
  /** The source holds the lock, the guest lands, and the source acknowledges the release. */
  async function afterRelease(acknowledged: { ok: boolean; error?: string }): Promise<World> {
    const world = new World();
    await world.migrates(landed);
    await world.send('landfall.volume.holders.v1', { volume: 'v', holders: [{ host: S, mode: 'exclusive' }] });
    await world.fails();
    const release = world.commands.find(({ kind, host }) => kind === 'release-lock' && host === S);
    await world.send('landfall.command.acknowledged.v1', { command: release?.command ?? '', ...acknowledged });
    return world;
  }

  it('counts as an observation of the lock', async () => {
    const world = new World();
    await world.migrates(landed);
    await world.fails();
    const lock = () => locksOf(world.ledger.record(VM) ?? unknownVm(VM))[0];
    expect(lock()).toMatchObject({ desiredOwner: D, observed: false, agrees: false });
    for (let sent = 0; sent < world.commands.length; sent += 1)
      await world.send('landfall.command.acknowledged.v1', { command: world.commands[sent]?.command ?? '', ok: true });
    expect(lock()).toMatchObject({ owner: D, mode: 'exclusive', observed: true, agrees: true });
  });

  it('removes a released holder from the observed ones', async () => {
    const world = await afterRelease({ ok: true });
    expect(world.ledger.record(VM)?.holders).toEqual({ v: [] });
  });

  it('changes no observation if the command was refused', async () => {
    const world = await afterRelease({ ok: false, error: 'busy' });
    expect(world.ledger.record(VM)?.holders).toEqual({ v: [{ host: S, mode: 'exclusive' }] });
  });
});

describe('an attempt that is examined again', () => {
  it('asks the hosts that are known now, not those at its call', async () => {
    const world = new World();
    await world.migrates(landed);
    await world.fails();
    for (const { command } of world.commands)
      await world.send('landfall.command.acknowledged.v1', { command, ok: true });
    for (const { command } of world.commands)
      await world.send('landfall.command.acknowledged.v1', { command, ok: true });
    expect(world.attempt.value).toEqual({ Completed: 'settled' });
    expect(world.attempt.attempt.knownHosts).toEqual([]);
    await world.send('landfall.host.facts.v1', { host: T, zone: 'z', cluster: 'c', stream: 'connected' });
    // The guest has left source and destination and runs on the host registered later.
    world.says = { [S]: absent, [D]: absent, [T]: running() };
    await world.send('landfall.host.lifecycle.v1', { host: S, event: 'Started', detail: 'Migrated' });
    expect(world.attempt.attempt.verdicts.at(-1)).toMatchObject({ row: 'elsewhere', host: T, certainty: 'proven' });
    expect(world.ledger.record(VM)?.host).toBe(T);
  });
});

describe('a lock left on another host by an earlier attempt', () => {
  it('is released by the next attempt even after a refused call', async () => {
    const world = new World();
    await world.migrates(landed);
    await world.fails();
    for (let round = 0; round < 3; round += 1)
      for (const { command } of world.commands)
        await world.send('landfall.command.acknowledged.v1', { command, ok: true });
    expect(world.ledger.record(VM)?.owner).toBe(D);
    // An operator moves the guest by hand and leaves the lock on the old host.
    await world.send('landfall.host.facts.v1', { host: T, zone: 'z', cluster: 'c', stream: 'connected' });
    for (const destination of [S, D]) {
      const migration = `to-${destination}`;
      world.says = { [S]: absent, [D]: absent, [T]: running() };
      await world.send('landfall.migration.started.v1', { migration, source: T, destination });
      await world.send('landfall.migration.returned.v1', {
        migration,
        ok: false,
        error: { kind: 'libvirt', message: 'refused' },
      });
      const { steps } = world.ledger.attempt(migration)?.state.attempt ?? { steps: [] };
      expect(steps.filter(({ kind }) => kind === 'release-lock').map(({ host }) => host)).toContain(D);
    }
  });
});

describe('a second call from a source with an unsettled attempt', () => {
  const again = async (says: Said, error: InputData<'landfall.migration.returned.v1'>['error']) => {
    const world = new World();
    await world.migrates({ [S]: running(jobs.out), [D]: shell });
    await world.send('landfall.host.facts.v1', { host: T, zone: 'z', cluster: 'c', stream: 'connected' });
    await world.send('landfall.migration.started.v1', { migration: 'm2', source: S, destination: T });
    // The source reports the first migration's job, which ends before the second call returns.
    world.says = says;
    await world.send('landfall.migration.returned.v1', { migration: 'm2', ok: false, ...(error && { error }) });
    return { world, second: () => world.ledger.attempt('m2')?.state };
  };
  const killed = { kind: 'caller-timeout', message: 'killed' } as const;

  it('does not use the job of the first call as evidence', async () => {
    const { second } = await again({ [S]: running(), [D]: absent, [T]: absent }, killed);
    expect(second()?.attempt.outgoingSeen).toBe(false);
    expect(second()?.value).toEqual({ Rechecking: 'watching' });
  });

  it('does not resume a guest that the first call left paused', async () => {
    const { world, second } = await again(
      { [S]: paused('migrating'), [D]: running(), [T]: absent },
      { kind: 'libvirt', message: 'failed' },
    );
    await world.wait(400);
    expect(second()?.value).toEqual({ RolledBack: 'contested' });
    expect(world.commands.map(({ kind }) => kind)).not.toContain('resume-guest');
  });

  it('does not get its proof from a completion of the first call', async () => {
    const { second } = await again({ [S]: absent, [D]: running(), [T]: running() }, killed);
    expect(second()?.attempt.verdicts).toEqual([]);
  });
});

describe('the order of open attempts on a host', () => {
  it('is the same after a restart of the service', async () => {
    const order = async (restarts: boolean) => {
      const world = new World();
      await world.migrates({ [S]: running(), [D]: absent });
      const refused = { kind: 'libvirt', message: 'refused' } as const;
      await world.send('landfall.migration.returned.v1', { migration: 'm1', ok: false, error: refused });
      for (let round = 0; round < 3; round += 1)
        for (const { command } of world.commands)
          await world.send('landfall.command.acknowledged.v1', { command, ok: true });
      expect(world.attempt.value).toEqual({ RolledBack: 'settled' });
      world.says = {};
      await world.send('landfall.migration.started.v1', { migration: 'm0', source: S, destination: D });
      await world.send('landfall.migration.returned.v1', { migration: 'm1', ok: true });
      expect(world.attempt.value).toEqual({ RolledBack: 'reexamining' });
      if (restarts) world.crash();
      await world.send('landfall.host.fenced.v1', { host: S, by: 'ipmi' });
      return world.ledger.stored.map(({ hash }) => hash).at(-1);
    };
    expect(await order(true)).toBe(await order(false));
  });
});

describe('an operator', () => {
  const contested = async () => {
    const world = new World();
    await world.migrates(moving);
    await world.fails();
    await world.wait(301);
    return world;
  };
  const by = { migration: 'm1', host: D, reason: 'seen there', operator: 'ops' };

  it('is refused without an attestation, and the refusal is recorded (scenario 48)', async () => {
    const world = await contested();
    expect(refusalOf(await world.send('landfall.migration.resolved.v1', { ...by, attest: false }))).toBe(
      'NOT_ATTESTED',
    );
    expect(world.attempt.value).toEqual({ RolledBack: 'contested' });
    expect(world.ledger.entries.at(-1)).toMatchObject({
      vm: VM,
      refusal: { code: 'NOT_ATTESTED' },
      cause: { data: { operator: 'ops', attest: false } },
    });
  });

  it('settles a contested attempt with an attestation (scenario 48)', async () => {
    const world = await contested();
    await world.send('landfall.migration.resolved.v1', { ...by, attest: true });
    expect(world.attempt.attempt.verdicts.at(-1)).toMatchObject({
      row: 'operator',
      host: D,
      supersedes: 1,
      resolution: { operator: 'ops', attest: true },
    });
  });

  it('is refused for an unknown host or an uncontested attempt (scenario 48)', async () => {
    const world = await contested();
    expect(refusalOf(await world.send('landfall.migration.resolved.v1', { ...by, host: T, attest: true }))).toBe(
      'UNKNOWN_HOST',
    );
    await world.send('landfall.migration.resolved.v1', { ...by, attest: true });
    expect(refusalOf(await world.send('landfall.migration.resolved.v1', { ...by, attest: true }))).toBe(
      'NOT_CONTESTED',
    );
  });
});

describe('a call that starts before the locks of a verdict are moved', () => {
  const MOVED: Said = { [D]: shutOff('migrated'), [S]: paused('user') };
  /**
   * Both hosts had the guest, an operator resolved it to the destination, and a migration back starts before a lock moves.
   */
  const movedBack = async (resolved: boolean) => {
    const world = new World();
    await world.migrates({ [S]: running(), [D]: running() });
    await world.fails();
    await world.wait(301);
    expect(world.attempt).toMatchObject({ value: { RolledBack: 'contested' }, attempt: { twoCopies: true } });
    const by = { migration: 'm1', host: D, reason: 'seen there', operator: 'ops', attest: true };
    if (resolved) await world.send('landfall.migration.resolved.v1', by);
    await world.send('landfall.migration.started.v1', { migration: 'm2', source: D, destination: S });
    world.says = MOVED;
    await world.send('landfall.migration.returned.v1', { migration: 'm2', ok: true });
    return { world, second: world.ledger.attempt('m2')?.state };
  };

  it('cancels the earlier attempt’s lock commands if the verdict names its source', async () => {
    const { world, second } = await movedBack(true);
    expect(second).toMatchObject({
      value: { Completed: 'settling' },
      attempt: { verdicts: [{ certainty: 'proven' }] },
    });
    expect(world.attempt.value).toEqual({ Completed: 'settled' });
  });

  it('records two possible copies if no verdict names its source', async () => {
    const { second } = await movedBack(false);
    expect(second?.attempt).toMatchObject({ twoCopies: true, verdicts: [] });
  });
});

describe('a change of the configuration', () => {
  it('is refused if it contradicts other settings (scenario 47)', async () => {
    const world = new World();
    const taken = await world.send('landfall.configuration.set.v1', {
      change: { recheckIntervalSeconds: 301 },
      operator: 'ops',
    });
    expect(refusalOf(taken)).toBe('BAD_CONFIGURATION');
    expect((await world.driver()).partition.configuration.recheckIntervalSeconds).toBe(10);
  });

  it('does not affect an attempt whose call has returned (scenario 47)', async () => {
    const world = new World();
    await world.migrates(moving);
    await world.send('landfall.configuration.set.v1', { change: { recheckTimeoutSeconds: 60 }, operator: 'ops' });
    await world.fails();
    await world.send('landfall.configuration.set.v1', { change: { recheckTimeoutSeconds: 900 }, operator: 'ops' });
    await world.wait(60);
    expect(world.verdicts()).toHaveLength(1);
  });
});

describe('a partition with a new owner', () => {
  it('has the state of the earlier owner and sends no commands (scenario 49)', async () => {
    const world = new World();
    await world.migrates(landed);
    await world.fails();
    const open = [...(await world.driver()).partition.openAttempts()];
    world.crash();
    const { partition } = await world.driver();
    expect([...partition.openAttempts()]).toEqual(open);
    expect(partition.pendingCount).toBe(0);
    expect(partition.drain().batch.entries).toEqual([]);
  });

  it('writes the same bytes for the same inputs (scenario 49)', async () => {
    const texts = await Promise.all(
      [0, 1].map(async () => {
        const world = new World();
        await world.migrates(moving);
        await world.fails();
        await world.wait(50);
        world.says = landed;
        await world.wait(60);
        return world.ledger.stored.map(({ hash }) => hash);
      }),
    );
    expect(texts[0]).toEqual(texts[1]);
    expect(texts[0]?.length).toBeGreaterThan(20);
  });

  it('reports decisions only after their commit (scenario 34)', async () => {
    const world = new World();
    const told: Entry[] = [];
    const heads: Head[] = [];
    const driver = await world.driver();
    driver.onCommitted((entries, head) => {
      expect(world.ledger.entries.slice(-entries.length)).toEqual(JSON.parse(JSON.stringify(entries)));
      told.push(...entries);
      heads.push(head);
    });
    await world.migrates(landed);
    await world.fails();
    expect(told).toHaveLength(world.ledger.entries.length);
    expect(heads.at(-1)?.sequence).toBe(told.length);
  });
});
