import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { ROOT } from '../support/landfall.ts';
import { processesOf } from './folder.ts';
import { type Lab, startLab } from './lab.ts';
import { waitFor } from './processes.ts';
import { missingRequirements, requireLab } from './requirements.ts';

const open: Lab[] = [];

afterEach(async () => {
  for (const lab of open.splice(0)) await lab.stop();
});

async function started(...args: Parameters<typeof startLab>): Promise<Lab> {
  const lab = await startLab(...args);
  open.push(lab);
  return lab;
}

/** Starts `npm run lab` without npm. Resolves when the instructions are printed, with the folder of the lab. */
async function labCommand() {
  const child = spawn(process.execPath, ['scripts/lab.ts'], { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => (text += String(chunk)));
  await waitFor('the instructions', () => text.includes('Press Ctrl-C'));
  const folder = /runs in (\S+)\. Its hosts/.exec(text)?.[1] ?? '';
  return { child, exited, folder, text };
}

describe('the end of a lab', () => {
  it('leaves no process and no folder', async () => {
    const lab = await startLab();
    const guest = lab.guest();
    await lab.host('host-a').startGuest(guest);
    lab.host('host-b').freezeLibvirtd();
    expect(processesOf(lab.path).length).toBeGreaterThanOrEqual(8);
    await lab.stop();
    expect(processesOf(lab.path)).toEqual([]);
    expect(existsSync(lab.path)).toBe(false);
  });

  it('is caused by Ctrl-C in `npm run lab`', async () => {
    const { child, exited, folder, text } = await labCommand();
    expect(text).toContain(
      `virsh -c 'qemu+unix:///system?socket=${join(folder, 'host-a/run/libvirt-sock')}' list --all`,
    );
    child.kill('SIGINT');
    expect(await exited).toEqual([0, null]);
    expect(processesOf(folder)).toEqual([]);
    expect(existsSync(folder)).toBe(false);
  });

  it('is completed by the next start after a SIGKILL', async () => {
    const { child, exited, folder } = await labCommand();
    child.kill('SIGKILL');
    await exited;
    expect(processesOf(folder).length).toBeGreaterThan(0);
    const lab = await started();
    expect(processesOf(folder)).toEqual([]);
    expect(existsSync(folder)).toBe(false);
    expect(lab.path).not.toBe(folder);
  });

  it('does not concern another lab that still runs', async () => {
    const first = await started();
    const second = await started();
    await second.stop();
    expect((await first.host('host-a').virsh('hostname')).trim()).toBe('host-a');
  });
});

describe('a lab', () => {
  it('has three hosts and no leases if asked to', async () => {
    const lab = await started({ hosts: 3, virtlockd: false });
    const guest = lab.guest();
    await lab.host('host-c').startGuest(guest);
    expect(await lab.truth(guest)).toMatchObject({ processOn: ['host-c'], runsOn: ['host-c'], leaseOn: [] });
    expect((await lab.migrate(guest, 'host-c', 'host-a').ended).code).toBe(0);
    expect(await lab.truth(guest)).toMatchObject({ processOn: ['host-a'], runsOn: ['host-a'] });
  });

  it('refuses an unknown host with the known names', async () => {
    const lab = await started();
    expect(() => lab.host('host-z')).toThrow(
      'LAB_UNKNOWN_HOST: The lab has no host host-z. Its hosts are host-a, host-b.',
    );
  });
});

describe('the requirements', () => {
  it('are met on this machine', async () => {
    await requireLab();
    expect(await missingRequirements()).toEqual([]);
  });

  it('name the missing commands and their packages', async () => {
    const missing = await missingRequirements('/nowhere');
    expect(missing.join('\n')).toMatch(
      /commands libvirtd, virtlockd, virsh, .*apt-get install .*libvirt-daemon-system libvirt-clients/,
    );
  });
});
