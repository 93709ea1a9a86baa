import { describe, expect, it } from 'vitest';
import { PartitionWorld } from '../support/partition-world.ts';
import {
  absent,
  acksAll,
  after,
  answers,
  D,
  event,
  expires,
  fails,
  fenced,
  given,
  jobs,
  paused,
  resolves,
  running,
  S,
  says,
  shell,
  shutOff,
  stream,
  T,
  volume,
} from '../support/machine-spec.ts';

/** Fenced hosts, expired leases, and commands that no host answers. */

const volumes = [volume('vol-1')];
const commandsTo = (commands: readonly { host: string | null }[], host: string) =>
  commands.filter((command) => command.host === host);

describe('a fenced destination', () => {
  it('proves that the guest stayed, without a command to the destination', () => {
    const { play } = given({ volumes })
      .when(says(S, running()), fails(), after(400))
      .thenIs({ state: 'RolledBack.contested', row: 'silent-destination' })
      .when(fenced(D), after(6), acksAll)
      .thenIs({ state: 'RolledBack.settled', row: 'stayed', certainty: 'proven', host: S, contested: false });
    expect(commandsTo(play.commands, D)).toEqual([]);
  });

  it('is not waited for until the next recheck', () => {
    given({ volumes })
      .when(says(S, running()), fails(), after(12), fenced(D), after(6), acksAll)
      .thenIs({ state: 'RolledBack.settled', row: 'stayed' });
  });

  it('proves nothing from an answer of the source before the fencing', () => {
    given({ volumes })
      .when(says(S, running()), fails(), after(12), says(S, 'silent'), fenced(D), after(7))
      .thenIs({ state: 'Rechecking.watching', verdicts: 0 });
  });

  it('leaves a moving guest alone while the source reports the job', () => {
    given({ volumes })
      .when(says(S, running(jobs.out)), fails(), after(12), fenced(D), after(6))
      .thenIs({ state: 'Rechecking.watching', verdicts: 0 });
  });

  it('does not let a source resume that may have handed over', () => {
    given({ volumes })
      .when(says(S, paused('migrating')), fails(), after(12), fenced(D), after(400))
      .thenIs({ state: 'RolledBack.contested', row: 'ran-and-died' });
  });

  it('acquires no lock there for a guest that was handed over', () => {
    const { play } = given({ volumes })
      .when(says(S, absent), event(S, 'Stopped', 'Migrated'), fails(), fenced(D), after(20), acksAll)
      .thenIs({ state: 'Completed.settled', row: 'crashed-after', host: D });
    expect(commandsTo(play.commands, D)).toEqual([]);
  });

  it('is believed again after it answers a newer question', () => {
    given({ volumes })
      .when(says(S, running(jobs.out)), fails(), fenced(D), says(D, shell), after(1))
      .thenIs({ waiting: { row: 'moving', host: S } })
      .when(says(D, running()), says(S, absent), after(10), acksAll)
      .thenIs({ state: 'Completed.settled', row: 'landed', host: D });
  });

  it('stays fenced after a late answer to an earlier question', () => {
    given({ volumes })
      .when(says(S, running()), fails(), after(12), fenced(D), answers(D, 4, shell), after(6), acksAll)
      .thenIs({ state: 'RolledBack.settled', row: 'stayed' });
  });

  it('is back as soon as its event stream is connected', () => {
    given({ volumes })
      .when(says(S, running(jobs.out)), fails(), fenced(D), stream(D, 'connected'), says(S, running()), after(400))
      .thenIs({ state: 'RolledBack.contested', row: 'silent-destination' });
  });
});

describe('a fenced source of a stopped guest', () => {
  it('keeps the guest, because its definition may still be there', () => {
    given({ origin: 'stopped', says: { [D]: shutOff() } })
      .when(fails(), fenced(S), after(400), acksAll)
      .thenIs({ state: 'RolledBack.settled', row: 'nowhere', host: S });
  });
});

describe('a fenced third host', () => {
  const stopped = async (fences: boolean) => {
    const world = new PartitionWorld();
    await world.send('landfall.host.facts.v1', { host: T, cluster: 'c', stream: 'connected' });
    await world.migrates({ [S]: absent, [D]: absent });
    await world.fails();
    if (fences) await world.send('landfall.host.fenced.v1', { host: T, by: 'ipmi' });
    await world.wait(400);
    return world;
  };

  it('counts as gone, unlike a silent third host', async () => {
    expect((await stopped(false)).attempt.value).toEqual({ RolledBack: 'contested' });
    const world = await stopped(true);
    expect(world.attempt.attempt.verdicts.at(-1)).toMatchObject({ row: 'nowhere', contested: false });
  });
});

describe('a fenced end that answers', () => {
  it('is recorded as no longer fenced', async () => {
    const world = new PartitionWorld();
    await world.migrates({ [S]: running(jobs.out) });
    await world.fails();
    await world.send('landfall.host.fenced.v1', { host: D, by: 'ipmi' });
    const recorded = () => world.ledger.entries.flatMap(({ host }) => (host?.host === D ? [host] : [])).at(-1);
    expect(recorded()).toMatchObject({ fenced: true });
    world.says = { [S]: running(jobs.out), [D]: shell };
    await world.wait(10);
    expect(recorded()).not.toHaveProperty('fenced');
  });
});

describe('a fenced source after a completed migration', () => {
  it('needs no release, and the destination acquires the lock at once', () => {
    const { play } = given({ volumes, says: { [S]: absent, [D]: running() } })
      .when(fails(), after(1))
      .thenIs({ state: 'Completed.settling', row: 'landed' })
      .when(fenced(S), acksAll)
      .thenIs({ state: 'Completed.settled', commands: [`acquire-lock ${D} vol-1`, 'after-migrate'] });
    expect(play.attempt.alarms).toEqual([]);
  });

  it('has no step left on the source if its leases expire', () => {
    given({ volumes, says: { [S]: absent, [D]: running() } })
      .when(fails(), after(1), expires('vol-1'), acksAll)
      .thenIs({ state: 'Completed.settled' });
  });

  it('keeps the release of another volume whose lease did not expire', () => {
    given({ volumes: [volume('vol-1'), volume('vol-2')], says: { [S]: absent, [D]: running() } })
      .when(fails(), after(1), expires('vol-1'))
      .thenIs({
        state: 'Completed.settling',
        commands: ['post-migrate', `release-lock ${S} vol-1`, `release-lock ${S} vol-2`, `acquire-lock ${D} vol-1`],
      });
  });
});

describe('a command without an answer', () => {
  it('raises lock-stuck after three tries and is still tried again', () => {
    given({ volumes, says: { [S]: absent, [D]: running() } })
      .when(fails(), after(14))
      .thenIs({ alarms: [] })
      .when(after(1200))
      .thenIs({ state: 'Completed.settling', alarms: ['lock-stuck'] })
      .when(acksAll)
      .thenIs({ state: 'Completed.settled' });
  });
});

describe('a resolution', () => {
  it('destroys no copy unless the destination shows the guest', () => {
    const { play } = given({ volumes })
      .when(says(S, paused('migrating')), fails(), after(400), resolves(D), after(1))
      .thenIs({ row: 'operator', host: D });
    expect(play.attempt.steps.map(({ kind }) => kind)).not.toContain('destroy-leftover');
  });
});
