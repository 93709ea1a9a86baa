import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { WriterLock } from '../../log/sqlite/writer-lock.ts';
import { commandJson, commandLine } from '../support/command-line.ts';
import { cloudEvent, writeEvents } from '../support/events.ts';
import { scratchFolder } from '../support/landfall.ts';

type CheckResult = { what: string; state: string; found: string; remedy: string };

const doctor = async (code: number, ...args: string[]) => {
  const checked = await commandJson<CheckResult[]>(['doctor', ...args], code);
  return (what: string) => checked.find((each) => each.what === what);
};

it('finds nothing missing on a machine that runs it, and leaves nothing behind', async () => {
  const folder = scratchFolder();
  const found = await doctor(0, '--db', join(folder, 'a/b/ledger.db'));
  for (const what of ['node', 'node:sqlite', 'ledger folder', 'disk space', 'ledger'])
    expect(found(what)).toMatchObject({ state: 'good', remedy: '' });
  for (const what of ['java', 'mvn', 'virsh']) expect(found(what)?.state).toMatch(/^(good|absent)$/);
  expect(found('kafka')).toBeUndefined();
  expect(readdirSync(folder)).toEqual([]);
  const said = await commandLine(['doctor', '--db', join(folder, 'ledger.db')]);
  expect([said.code, said.out]).toEqual([0, expect.stringMatching(/✔ +node +Node 2\d/)]);
});

it('says what is missing, and what to do about it', async () => {
  const folder = scratchFolder();
  writeFileSync(join(folder, 'file'), '');
  const found = await doctor(1, '--db', join(folder, 'file/ledger.db'));
  expect(found('ledger folder')).toMatchObject({ state: 'missing', found: expect.stringContaining('is no folder') });
  expect(found('ledger folder')?.remedy).not.toBe('');
  writeFileSync(join(folder, 'ledger.db'), 'something else');
  expect((await doctor(1, '--db', join(folder, 'ledger.db')))('ledger')?.state).toBe('missing');
  expect(existsSync(join(folder, 'ledger.db.lock'))).toBe(false);
});

it('says how far the ledger is, and who writes it', async () => {
  const folder = scratchFolder();
  const db = join(folder, 'ledger.db');
  const file = writeEvents(join(folder, 'one.ndjson'), cloudEvent('host.facts', { host: 'h' }, { subject: null }));
  await commandLine(['ingest', file, '--db', db]);
  expect((await doctor(0, '--db', db))('ledger')?.found).toBe('1 entries; nobody writes it');
  const lock = WriterLock.acquire(db);
  expect((await doctor(0, '--db', db))('ledger')?.found).toContain('writes');
  lock.release();
});

it('asks the brokers that are configured', { timeout: 60_000 }, async () => {
  const db = join(scratchFolder(), 'ledger.db');
  const kafka = (await doctor(1, '--db', db, '--kafka-brokers', '127.0.0.1:1'))('kafka');
  expect(kafka).toMatchObject({ state: 'missing', found: expect.stringContaining('127.0.0.1:1') });
});
