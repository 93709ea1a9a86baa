import { describe, expect, it } from 'vitest';
import { absent, D, event, fails, given, jobs, paused, running, S, says, T, VM } from '../support/machine-spec.ts';
import { PartitionWorld, type Said } from '../support/partition-world.ts';

/** Leases that the hypervisor's lock manager reports, compared with the answers of the hosts. */

const volumes = ['v1', 'v2'].map((volume) => ({ volume, shareable: false, lockedBy: 'hypervisor' as const }));
const stayed: Said = { [S]: running(), [D]: absent, [T]: absent };
const arrived: Said = { [S]: absent, [D]: running() };

async function world(says: Said): Promise<PartitionWorld> {
  const made = new PartitionWorld();
  await made.migrates({ [S]: running(jobs.out) }, volumes);
  made.says = says;
  return made;
}

const holds = (made: PartitionWorld, volume: string, ...hosts: string[]) =>
  made.send('landfall.volume.holders.v1', {
    volume,
    holders: hosts.map((host) => ({ host, mode: 'exclusive' as const })),
  });
const verdictOf = ({ attempt: { attempt } }: PartitionWorld) => attempt.verdicts.at(-1);
const alarmsOf = ({ attempt: { attempt } }: PartitionWorld) => attempt.alarms.map(({ code }) => code);

describe('a lease on the host without the guest', () => {
  it.each([
    ['stayed', stayed, D],
    ['stayed', stayed, T],
    ['landed', arrived, S],
  ])('contests row %s after two more rounds', async (row, says, holder) => {
    const made = await world(says);
    await holds(made, 'v1', holder);
    await made.fails();
    expect(made.attempt.value).toEqual({ Rechecking: 'watching' });
    await made.wait(11);
    expect(verdictOf(made)).toBeUndefined();
    await made.wait(11);
    expect(verdictOf(made)).toMatchObject({ row, contested: true, error: expect.stringContaining(holder) });
    expect(alarmsOf(made)).toEqual(['lock-disagrees']);
    expect(made.commands.filter(({ volume }) => volume !== null)).toEqual([]);
  });

  it('counts if only the second volume disagrees', async () => {
    const made = await world(stayed);
    await holds(made, 'v1', S);
    await holds(made, 'v2', D);
    await made.fails();
    await made.wait(25);
    expect(verdictOf(made)).toMatchObject({ contested: true });
  });

  it('is no doubt once the late report of the lock manager arrives', async () => {
    const made = await world(arrived);
    await holds(made, 'v1', S);
    await made.fails();
    await holds(made, 'v1', D);
    expect(verdictOf(made)).toMatchObject({ row: 'landed', contested: false, certainty: 'proven' });
    expect(alarmsOf(made)).toEqual([]);
  });

  it('settles a contested attempt when the lease agrees later', async () => {
    const made = await world(stayed);
    await holds(made, 'v1', D);
    await made.fails();
    await made.wait(25);
    await holds(made, 'v1', S);
    expect(verdictOf(made)).toMatchObject({ row: 'stayed', contested: false, number: 2 });
  });

  it('contests a settled verdict after two more rounds', async () => {
    const made = await world(stayed);
    await made.wait(40);
    await made.fails();
    await made.acknowledgeAll();
    expect(made.attempt.value).toEqual({ RolledBack: 'settled' });
    await holds(made, 'v1', D);
    expect(made.attempt.value).toEqual({ RolledBack: 'reexamining' });
    await made.wait(25);
    expect(made.attempt.value).toEqual({ RolledBack: 'contested' });
    expect(alarmsOf(made)).toContain('lock-disagrees');
  });

  it('leaves a settled verdict in force if the lease returns', async () => {
    const made = await world(stayed);
    await made.fails();
    await made.acknowledgeAll();
    await holds(made, 'v1', D);
    await holds(made, 'v1', S);
    expect(made.attempt.value).toEqual({ RolledBack: 'settled' });
    expect(made.attempt.attempt.verdicts).toHaveLength(1);
  });

  it('reopens a verdict whose commands are under way', async () => {
    const made = await world(stayed);
    await made.fails();
    await holds(made, 'v1', D);
    expect(made.attempt.value).toEqual({ Rechecking: 'watching' });
    await made.wait(25);
    expect(verdictOf(made)).toMatchObject({ contested: true, number: 2 });
  });

  it('does not count on a fenced host', async () => {
    const made = await world({ [S]: running() });
    await holds(made, 'v1', D);
    await made.fails();
    await made.send('landfall.host.fenced.v1', { host: D, by: 'ipmi' });
    await made.wait(6);
    expect(verdictOf(made)).toMatchObject({ row: 'stayed', contested: false });
  });

  it('does not count after it has expired', async () => {
    const made = await world(arrived);
    await holds(made, 'v1', S);
    await made.send('landfall.volume.lease-expired.v1', { volume: 'v1', host: S });
    await made.fails();
    await made.wait(11);
    expect(verdictOf(made)).toMatchObject({ row: 'landed', contested: false });
  });

  it('continues its rounds after a restart', async () => {
    const made = await world(stayed);
    await holds(made, 'v1', D);
    await made.fails();
    await made.wait(11);
    made.crash();
    await made.wait(11);
    expect(verdictOf(made)).toMatchObject({ contested: true });
  });

  it('proves nothing if Landfall moves the locks itself', async () => {
    const made = new PartitionWorld();
    await made.migrates({ [S]: absent, [D]: running() });
    await holds(made, 'v', S);
    await made.fails();
    expect(verdictOf(made)).toMatchObject({ row: 'landed', contested: false });
  });

  it('does not contest a guest that is paused without a lease', async () => {
    const made = await world({ [S]: paused('user'), [D]: absent });
    await holds(made, 'v1');
    await made.fails();
    await made.wait(60);
    expect(verdictOf(made)).toMatchObject({ row: 'stayed', contested: false });
    expect(alarmsOf(made)).toEqual([]);
  });

  it('contests a guest that counts as stopped', async () => {
    const made = await world({ [S]: absent, [D]: absent });
    await holds(made, 'v1', S);
    await made.send('landfall.host.lifecycle.v1', { host: S, event: 'Stopped', detail: 'Shutdown' });
    await made.fails();
    await made.wait(25);
    expect(verdictOf(made)).toMatchObject({ row: 'nowhere', contested: true });
  });
});

describe('a host that lists no guest but holds its lease', () => {
  const holding = { ...absent, leases: ['v1'] };

  it.each([S, D])('proves nothing about %s', (host) => {
    const other = host === S ? D : S;
    given({ says: { [other]: running() } })
      .when(says(host, holding), fails(), event(D, 'Resumed', 'Migrated'))
      .thenIs({ verdicts: 0, alarms: ['lease-without-guest'] });
  });

  it('counts as gone once it holds no lease', () => {
    given({ says: { [S]: absent } })
      .when(says(D, running()), says(S, holding), fails(), says(S, { ...absent, leases: [] }))
      .when(event(D, 'Resumed', 'Migrated'))
      .thenIs({ row: 'landed', certainty: 'proven' });
  });
});

describe('a guest that runs without its lease', () => {
  it('settles after one more round, with an alarm', async () => {
    const made = await world(stayed);
    await holds(made, 'v1');
    await made.fails();
    await made.wait(11);
    expect(verdictOf(made)).toMatchObject({ row: 'stayed', contested: false });
    expect(alarmsOf(made)).toEqual(['lease-missing']);
    expect(made.ledger.record(VM)).toMatchObject({ host: S, certainty: 'proven' });
  });

  it('settles at once, without an alarm, when its lease is reported', async () => {
    const made = await world(stayed);
    await holds(made, 'v1');
    await made.fails();
    await holds(made, 'v1', S);
    await made.wait(60);
    expect(verdictOf(made)).toMatchObject({ row: 'stayed', contested: false });
    expect(alarmsOf(made)).toEqual([]);
  });
});

describe('a volume whose lease another process holds', () => {
  const stalled: Said = { [S]: paused('migrating'), [D]: absent };
  const stall = async () => {
    const made = await world(stalled);
    for (const [name, detail] of [
      ['Started', 'Migrated'],
      ['Stopped', 'Failed'],
    ] as const)
      await made.send('landfall.host.lifecycle.v1', { host: D, event: name, detail });
    await holds(made, 'v1', S);
    await holds(made, 'v2', 'other');
    await made.fails();
    await made.acknowledgeAll();
    return made;
  };
  const sent = (made: PartitionWorld) => made.commands.map(({ kind }) => kind);

  it('keeps the source from being resumed', async () => {
    const made = await stall();
    expect(verdictOf(made)).toMatchObject({ row: 'stalled', contested: false });
    expect(made.attempt.value).toEqual({ RolledBack: 'settling' });
    expect(sent(made)).not.toContain('resume-guest');
    expect(alarmsOf(made)).toEqual(['lease-taken']);
  });

  it('lets the source resume once it is free', async () => {
    const made = await stall();
    await holds(made, 'v2');
    expect(sent(made)).toContain('resume-guest');
    await made.acknowledgeAll();
    expect(made.attempt.value).toEqual({ RolledBack: 'settled' });
  });

  it.each([
    ['stayed', stayed, S],
    ['landed', arrived, D],
  ])('keeps row %s from settling', async (row, says, host) => {
    const made = await world(says);
    await holds(made, 'v1', host);
    await holds(made, 'v2', 'other');
    await made.fails();
    await made.acknowledgeAll();
    expect(verdictOf(made)).toMatchObject({ row, contested: false });
    expect(made.attempt.attempt.settledAt).toBeNull();
    made.crash();
    await holds(made, 'v2', host);
    expect(made.attempt.attempt.settledAt).not.toBeNull();
  });

  it('is known from the domain definition that a host reports', async () => {
    const disks = [
      { volume: 'v1', shareable: false },
      { volume: 'v3', shareable: false },
      { volume: 'cd', shareable: true },
    ];
    const made = await world({ [S]: { ...running(), disks }, [D]: absent });
    await made.fails();
    expect(made.ledger.record(VM)?.volumes.map(({ volume }) => volume)).toEqual(['v1', 'v2', 'v3', 'cd']);
    await holds(made, 'v3', D);
    await made.wait(25);
    expect(verdictOf(made)).toMatchObject({ contested: true });
  });

  it('does not keep a shareable volume from settling', async () => {
    const made = await world({ ...stayed, [S]: { ...running(), disks: [{ volume: 'cd', shareable: true }] } });
    await made.fails();
    await holds(made, 'cd', D);
    await made.acknowledgeAll();
    expect(made.attempt.value).toEqual({ RolledBack: 'settled' });
  });
});
