import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { audit } from '../../projections/audit.ts';
import { MountedFolder } from '../log/mounted-folder.ts';
import { declared, event, serve, started, VM, ledgerOf } from './harness.ts';

it.runIf(MountedFolder.isPossible())(
  'acknowledges nothing while the disk is full, and recovers afterwards',
  { timeout: 120_000 },
  async () => {
    using mounted = new MountedFolder('6m');
    const service = await serve({ logLevel: 'silent' }, mounted.folder);
    await service.post([declared(), started('m-1')]);
    const ballast = join(mounted.folder, 'ballast');
    const acknowledged = new Map<string, Record<string, unknown>>();
    const statuses = new Set<number>();
    const long = 'x'.repeat(20_000);
    const make = () => event('operator.acted', { action: 'look', ok: false, error: long });
    const unsure: Record<string, unknown>[] = [];
    const refusals: unknown[] = [];
    for (let sent = 0; sent < 3; sent += 1) {
      const input = make();
      if ((await service.post(input)).status === 202) acknowledged.set(String(input['id']), input);
    }
    fill(ballast);
    for (let sent = 0; sent < 400 && !statuses.has(503); sent += 1) {
      const input = make();
      const { status, body } = await service.post(input);
      statuses.add(status);
      if (status === 202) acknowledged.set(String(input['id']), input);
      else {
        unsure.push(input);
        refusals.push(body);
      }
    }
    expect(acknowledged.size).toBeGreaterThan(2);
    expect(statuses).toContain(503);
    expect(refusals).toEqual(refusals.map(() => expect.objectContaining({ code: 'NOT_READY' })));
    expect(JSON.stringify(refusals)).not.toContain(mounted.folder);
    expect((await service.get('/readyz')).status).toBe(503);
    expect((await service.get('/healthz')).status).toBe(200);
    const read = await service.get(`/v1/vms/${VM}`);
    expect([read.status, Number(read.headers.get('landfall-age-seconds'))]).toEqual([200, expect.any(Number)]);
    // No input arrives, so only an attempt to commit can show that the disk is still full.
    for (let look = 0; look < 30; look += 1) {
      expect((await service.get('/readyz')).status).toBe(503);
      await wait(100);
    }
    rmSync(ballast);
    await expect.poll(async () => (await service.get('/readyz')).status).toBe(200);
    // The client sends the rejected events again. The acknowledged events are already in the ledger.
    for (const input of unsure) expect((await service.post(input)).status).toBe(202);
    for (const input of [...acknowledged.values()].slice(-3))
      expect((await service.post(input)).body['duplicate']).toBe(true);
    const ids: string[] = [];
    for await (const { entry } of ledgerOf(service).read(0, 1))
      if (entry.cause.kind === 'input') ids.push(entry.cause.id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const id of acknowledged.keys()) expect(ids).toContain(id);
    expect((await audit(ledgerOf(service), 0)).findings).toEqual([]);
    await service.stop();
  },
);

/** Fills the disk so that the next commits do not fit. */
function fill(file: string): void {
  for (let bytes = 6 * 1024 * 1024; bytes >= 4096; bytes = Math.floor(bytes / 2)) {
    try {
      writeFileSync(file, Buffer.alloc(bytes), { flag: 'a' });
    } catch {
      // A smaller block may still fit.
    }
  }
}
