import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Guest, GuestPlan } from './guest.ts';
import type { LabHost } from './host.ts';
import { type Lab, startLab } from './lab.ts';
import { waitFor } from './processes.ts';

const ON_A = { processOn: ['host-a'], runsOn: ['host-a'], leaseOn: ['host-a'] };
const ON_B = { processOn: ['host-b'], runsOn: ['host-b'], leaseOn: ['host-b'] };

/** At this bandwidth the guest's 8 MiB of filled memory take several seconds. */
const SLOW = { bandwidthMiB: 2 };
const FAST = { bandwidthMiB: 32 };

let lab: Lab;
let a: LabHost;
let b: LabHost;

beforeAll(async () => {
  lab = await startLab({ hosts: 2, virtlockd: true });
  a = lab.host('host-a');
  b = lab.host('host-b');
});

afterAll(async () => {
  await lab?.stop();
});

let started = 0;
let times: string[] = [];

/** Notes a time of the current test, which is printed after the test. */
function mark(what: string): void {
  times.push(`${what} ${Math.round(performance.now() - started)} ms`);
}

beforeEach(() => {
  times = [];
  started = performance.now();
});

afterEach(async ({ task }) => {
  mark('end');
  console.log(`${task.name}: ${times.join(', ')}`);
  for (const host of lab.hosts) {
    if (host.libvirtd.pid !== undefined) host.thawLibvirtd();
    await host.libvirtd.start();
    await host.heal();
    const domains = (await host.virsh('list', '--all', '--uuid')).split('\n').filter((line) => line.trim() !== '');
    for (const uuid of domains) {
      await host.tryVirsh('destroy', uuid.trim());
      await host.tryVirsh('undefine', uuid.trim());
    }
  }
});

async function guestOnA(plan?: GuestPlan): Promise<Guest> {
  const guest = lab.guest(plan);
  await a.startGuest(guest);
  mark('guest ready');
  expect(await lab.truth(guest)).toMatchObject(ON_A);
  return guest;
}

async function migrating(guest: Guest, options: Parameters<Lab['migrate']>[3] = SLOW) {
  const migration = lab.migrate(guest, 'host-a', 'host-b', options);
  await lab.untilTransferred(guest, 'host-a');
  mark('pre-copy');
  expect(await lab.truth(guest)).toMatchObject({ processOn: ['host-a', 'host-b'], runsOn: ['host-a'] });
  return migration;
}

/** Waits until the truth has the expected parts, and notes the time. */
async function expectTruth(guest: Guest, expected: object): Promise<void> {
  await expect.poll(() => lab.truth(guest), { timeout: 60_000, interval: 50 }).toMatchObject(expected);
  mark('truth as expected');
}

describe('a migration in the lab', () => {
  it('moves the guest and its lease', async () => {
    const guest = await guestOnA();
    const { code, err } = await lab.migrate(guest, 'host-a', 'host-b', FAST).ended;
    mark('call ended');
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(await lab.truth(guest)).toMatchObject(ON_B);
    const beats = b.serialOf(guest).length;
    await waitFor('the guest makes progress on host-b', () => b.serialOf(guest).length > beats);
  });

  it('goes on to its end when its caller is killed', async () => {
    const guest = await guestOnA();
    const migration = await migrating(guest);
    migration.kill();
    expect(await migration.ended).toMatchObject({ code: undefined, signal: 'SIGKILL' });
    mark('caller killed');
    await expectTruth(guest, ON_B);
  });

  it.each<[failure: string, cause: (guest: Guest) => Promise<unknown>]>([
    ['it is aborted', (guest) => a.virsh('domjobabort', guest.uuid)],
    ["the destination's QEMU is killed", (guest) => b.killQemu(guest)],
    ['the network is cut', () => b.cut()],
  ])('leaves the guest on the source when %s', async (failure, cause) => {
    const guest = await guestOnA();
    const migration = await migrating(guest);
    await cause(guest);
    mark(failure);
    expect((await migration.ended).code).toBe(1);
    mark('call ended');
    await expectTruth(guest, ON_A);
  });

  it("leaves the guest on the source when the source's libvirtd is killed", async () => {
    const guest = await guestOnA();
    const migration = await migrating(guest);
    await a.killLibvirtd();
    mark('libvirtd killed');
    expect((await migration.ended).code).toBe(1);
    await expectTruth(guest, ON_A);
    await a.restartLibvirtd();
    expect((await a.virsh('domstate', guest.uuid)).trim()).toBe('running');
    expect(await lab.truth(guest)).toMatchObject(ON_A);
  });

  it('moves a paused guest, which stays paused and has no lease', async () => {
    const guest = await guestOnA();
    await a.virsh('suspend', guest.uuid);
    const paused = { runsOn: [], leaseOn: [] };
    expect(await lab.truth(guest)).toMatchObject({ processOn: ['host-a'], ...paused });
    expect((await lab.migrate(guest, 'host-a', 'host-b', FAST).ended).code).toBe(0);
    mark('call ended');
    await expectTruth(guest, { processOn: ['host-b'], ...paused });
  });

  it('moves a guest that does not converge by post-copy', async () => {
    const guest = await guestOnA({ hotKiB: 8192 });
    const migration = await migrating(guest, { bandwidthMiB: 8, postCopy: true });
    await sleep(5000);
    expect(await lab.truth(guest)).toMatchObject({ ...ON_A, processOn: ['host-a', 'host-b'] });
    await a.virsh('migrate-postcopy', guest.uuid);
    mark('post-copy');
    expect((await migration.ended).code).toBe(0);
    mark('call ended');
    expect(await lab.truth(guest)).toMatchObject(ON_B);
  });

  it('copies storage that the hosts do not share', async () => {
    const guest = await guestOnA({ storage: 'local', diskMiB: 8 });
    const onHost = ({ path }: LabHost) => join(path, 'local', basename(guest.disks[0] ?? ''));
    const digest = (host: LabHost) =>
      createHash('sha256')
        .update(readFileSync(onHost(host)))
        .digest('hex');
    expect(digest(b)).not.toBe(digest(a));
    const { code, err } = await lab.migrate(guest, 'host-a', 'host-b', { ...FAST, copyStorage: true }).ended;
    mark('call ended');
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(digest(b)).toBe(digest(a));
    expect(await lab.truth(guest)).toMatchObject(ON_B);
  });
});

describe('the network of the lab', () => {
  it.each(['freezeNetwork', 'cut'] as const)('delays a migration until it is healed: %s', async (disturb) => {
    const guest = await guestOnA();
    const migration = await migrating(guest);
    await (disturb === 'cut' ? b.cut('data') : b.freezeNetwork());
    await sleep(1500);
    mark('heal');
    await b.heal();
    expect((await migration.ended).code).toBe(0);
    mark('call ended');
    expect(await lab.truth(guest)).toMatchObject(ON_B);
  });

  it('slows a migration without a limit of its own', async () => {
    const guest = await guestOnA();
    await b.slowNetwork(16_000);
    const { code, ms } = await lab.migrate(guest, 'host-a', 'host-b').ended;
    mark('call ended');
    expect(code).toBe(0);
    // 8 MiB of memory at 16 Mbit/s take more than 4 seconds.
    expect(ms).toBeGreaterThan(4000);
  });

  it('starts no migration while the control traffic is cut', async () => {
    const guest = await guestOnA();
    await b.cut('control');
    const migration = lab.migrate(guest, 'host-a', 'host-b', FAST);
    await sleep(2000);
    expect(await lab.truth(guest)).toMatchObject(ON_A);
    migration.kill();
    await migration.ended;
  });
});

describe('the truth of the lab', () => {
  it('is known while libvirtd is frozen', async () => {
    const guest = await guestOnA();
    a.freezeLibvirtd();
    expect(await lab.truth(guest)).toMatchObject(ON_A);
    a.thawLibvirtd();
    expect((await a.virsh('domstate', guest.uuid)).trim()).toBe('running');
  });

  it('shows a frozen and a killed QEMU', async () => {
    const guest = await guestOnA();
    await a.killQemu(guest, 'SIGSTOP');
    expect(await lab.truth(guest)).toMatchObject({ processOn: ['host-a'], runsOn: [], leaseOn: ['host-a'] });
    await a.killQemu(guest);
    await expectTruth(guest, { processOn: [], runsOn: [], leaseOn: [] });
  });

  it('shows that a guest has powered off by itself', async () => {
    const guest = await guestOnA({ ends: { how: 'poweroff', afterSeconds: 2 } });
    await expectTruth(guest, { processOn: [], runsOn: [], leaseOn: [] });
  });

  it('shows every lease of a defined guest with two disks', async () => {
    const guest = lab.guest({ disks: 2 });
    await a.defineGuest(guest);
    await a.startGuest(guest);
    const leases = Object.fromEntries(guest.disks.map((disk) => [basename(disk), ['host-a']]));
    expect((await lab.truth(guest)).leases).toEqual(leases);
  });
});
