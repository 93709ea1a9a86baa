import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Locks } from '../../log/sqlite/locks.ts';
import { commandJson, commandLine } from '../support/command-line.ts';
import { cloudEvent, writeEvents } from '../support/events.ts';
import { scratchFolder } from '../support/landfall.ts';

type CheckResult = { what: string; state: string; found: string; remedy: string };

const doctor = async (code: number, ...args: string[]) => {
  const results = await commandJson<CheckResult[]>(['doctor', ...args], code);
  return (what: string) => results.find((each) => each.what === what);
};

/** The PATH contains one fake program, so that no test waits for a real Java or Maven. */
beforeEach(() => {
  const programs = scratchFolder();
  writeFileSync(join(programs, 'java'), '#!/bin/sh\necho openjdk 17\n', { mode: 0o755 });
  vi.stubEnv('PATH', programs);
});
afterEach(() => {
  vi.unstubAllEnvs();
});

describe('landfall doctor', () => {
  it('reports no problems for a complete installation and creates no files', async () => {
    const folder = scratchFolder();
    const found = await doctor(0, '--db', join(folder, 'a/b/ledger.db'));
    for (const what of ['node', 'node:sqlite', 'ledger folder', 'disk space', 'ledger'])
      expect(found(what)).toMatchObject({ state: 'good', remedy: '' });
    expect(found('java')).toMatchObject({ state: 'good', found: 'openjdk 17' });
    for (const what of ['mvn', 'virsh']) expect(found(what)?.state).toBe('absent');
    expect(found('kafka')).toBeUndefined();
    expect(readdirSync(folder)).toEqual([]);
    const shown = await commandLine(['doctor', '--db', join(folder, 'ledger.db')]);
    expect([shown.code, shown.out]).toEqual([0, expect.stringMatching(/✔ +node +Node 2\d/)]);
  });

  it('reports missing parts and how to fix them', async () => {
    const folder = scratchFolder();
    writeFileSync(join(folder, 'file'), '');
    const found = await doctor(1, '--db', join(folder, 'file/ledger.db'));
    expect(found('ledger folder')).toMatchObject({ state: 'missing', found: expect.stringContaining('not a folder') });
    expect(found('ledger folder')?.remedy).not.toBe('');
    writeFileSync(join(folder, 'ledger.db'), 'something else');
    expect((await doctor(1, '--db', join(folder, 'ledger.db')))('ledger')?.state).toBe('missing');
    expect(existsSync(join(folder, 'ledger.db.lock'))).toBe(false);
  });

  it('prints the length of the ledger and the process that writes it', async () => {
    const folder = scratchFolder();
    const db = join(folder, 'ledger.db');
    const file = writeEvents(join(folder, 'one.ndjson'), cloudEvent('host.facts', { host: 'h' }, { subject: null }));
    await commandLine(['ingest', file, '--db', db]);
    expect((await doctor(0, '--db', db))('ledger')?.found).toBe('1 entries; no process writes it');
    const lock = Locks.acquire(db);
    expect((await doctor(0, '--db', db))('ledger')?.found).toContain('writes');
    lock.release();
  });

  it('checks that the configured Kafka brokers can be reached', async () => {
    const db = join(scratchFolder(), 'ledger.db');
    const kafka = (await doctor(1, '--db', db, '--kafka-brokers', '127.0.0.1:1'))('kafka');
    expect(kafka).toMatchObject({ state: 'missing', found: expect.stringContaining('127.0.0.1:1') });
  });
});
