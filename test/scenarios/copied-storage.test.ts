import { describe, expect, it } from 'vitest';
import type { InputData } from '../../events/inputs.ts';
import { locksOf } from '../../projections/locks.ts';
import { absent, D, jobs, paused, running, S, VM } from '../support/machine-spec.ts';
import { PartitionWorld, type Said } from '../support/partition-world.ts';

/** Migrations that copy storage: each host has volumes of its own. */

const own = (volume: string, more: { shareable?: boolean } = {}) => ({
  volume,
  shareable: false,
  lockedBy: 'landfall' as const,
  ...more,
});

type Started = Partial<InputData<'landfall.migration.started.v1'>>;

async function world(says: Said, started: Started, volumes = [own('local-a')]): Promise<PartitionWorld> {
  const made = new PartitionWorld();
  for (const host of [S, D]) await made.send('landfall.host.facts.v1', { host, cluster: 'c', stream: 'connected' });
  await made.send('landfall.vm.declared.v1', { name: 'web-1', host: S, power: 'running', volumes });
  made.says = { [S]: running(jobs.out) };
  await made.send('landfall.migration.started.v1', {
    migration: 'm1',
    source: S,
    destination: D,
    storageCopied: true,
    ...started,
  });
  made.says = says;
  return made;
}

const named = { destinationVolumes: [own('local-b')] };
const stayed: Said = { [S]: running(), [D]: absent };
const arrived: Said = { [S]: absent, [D]: running() };
const lockCommands = ({ commands }: PartitionWorld) =>
  commands.flatMap(({ kind, host, volume }) => (volume === null ? [] : [`${kind} ${host} ${volume}`]));
const copiesOf = ({ ledger }: PartitionWorld) =>
  locksOf(ledger.record(VM) ?? expect.fail('no record')).map(({ volume, copy }) => [volume, copy?.host, copy?.current]);

describe('locks of copied volumes', () => {
  it('are released on the source and taken on the destination', async () => {
    const made = await world(arrived, named);
    await made.fails();
    await made.acknowledgeAll();
    expect(lockCommands(made)).toEqual([`release-lock ${S} local-a`, `acquire-lock ${D} local-b`]);
    expect(made.attempt.value).toEqual({ Completed: 'settled' });
  });

  it('stay on the source after a rollback', async () => {
    const made = await world(stayed, named);
    await made.fails();
    await made.acknowledgeAll();
    expect(lockCommands(made).toSorted()).toEqual([`acquire-lock ${S} local-a`, `release-lock ${D} local-b`]);
    expect(made.attempt.value).toEqual({ RolledBack: 'settled' });
  });

  it('are not taken on a destination whose volumes are unknown', async () => {
    const made = await world(arrived, {});
    await made.fails();
    await made.acknowledgeAll();
    expect(lockCommands(made)).toEqual([`release-lock ${S} local-a`]);
    expect(made.attempt.value).toEqual({ Completed: 'settled' });
  });

  it('follow the guest for a volume on shared storage', async () => {
    const volumes = [own('local-a'), own('shared'), own('cd', { shareable: true })];
    const made = await world(arrived, { destinationVolumes: [own('local-b'), own('shared')] }, volumes);
    await made.fails();
    await made.acknowledgeAll();
    expect(lockCommands(made).toSorted()).toEqual([
      `acquire-lock ${D} local-b`,
      `acquire-lock ${D} shared`,
      `release-lock ${S} local-a`,
      `release-lock ${S} shared`,
    ]);
  });

  it('are left alone while the attempt is contested', async () => {
    const made = await world({ [S]: paused('migrating'), [D]: absent }, named);
    await made.fails();
    await made.wait(400);
    await made.acknowledgeAll();
    expect(lockCommands(made)).toEqual([]);
  });
});

describe('the copies of a volume', () => {
  it('are shown, with the current one, after each outcome', async () => {
    for (const [says, current] of [
      [arrived, 'local-b'],
      [stayed, 'local-a'],
    ] as const) {
      const made = await world(says, named);
      expect(copiesOf(made)).toEqual([
        ['local-a', S, true],
        ['local-b', D, false],
      ]);
      await made.fails();
      await made.acknowledgeAll();
      expect(
        Object.fromEntries(copiesOf(made).map(([volume, host, isCurrent]) => [volume, [host, isCurrent]])),
      ).toEqual({
        'local-a': [S, current === 'local-a'],
        'local-b': [D, current === 'local-b'],
      });
    }
  });

  it('are both kept, and neither is current, while the attempt is contested', async () => {
    const made = await world({ [S]: paused('migrating'), [D]: absent }, named);
    await made.fails();
    await made.wait(400);
    expect(copiesOf(made)).toEqual([
      ['local-a', S, null],
      ['local-b', D, null],
    ]);
  });

  it('end with the next declaration', async () => {
    const made = await world(arrived, named);
    await made.fails();
    await made.acknowledgeAll();
    await made.send('landfall.vm.declared.v1', { name: 'web-1', host: D, power: 'running', volumes: [own('local-b')] });
    expect(copiesOf(made)).toEqual([['local-b', undefined, undefined]]);
  });

  it('may be deleted only after every lock has moved', async () => {
    const made = await world(arrived, named);
    await made.fails();
    const sent = () => made.commands.map(({ kind }) => kind);
    await made.send('landfall.command.acknowledged.v1', { command: 'm1/v1/post-migrate', ok: true });
    expect(sent()).not.toContain('after-migrate');
    await made.acknowledgeAll();
    expect(sent().at(-1)).toBe('after-migrate');
  });

  it('survive a restart', async () => {
    const made = await world(arrived, named);
    made.crash();
    await made.fails();
    made.crash();
    await made.acknowledgeAll();
    expect(made.ledger.record(VM)?.volumes).toEqual([own('local-b')]);
  });
});
