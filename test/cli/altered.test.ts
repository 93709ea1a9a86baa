import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { beforeAll, describe, expect, it } from 'vitest';
import { type AuditView, commandJson, commandLine } from '../support/command-line.ts';
import { scratchFolder } from '../support/landfall.ts';
import { auditResult, contentOf, originalLedger, testAlteredBits } from './altered-bits.ts';

let folder: string;
let original: string;
let content: string;

beforeAll(async () => {
  let remove = () => {};
  folder = scratchFolder((work) => (remove = work));
  ({ original, content } = await originalLedger(folder));
  return remove;
});

describe('the audit of an altered ledger file', () => {
  testAlteredBits(20);

  it('finds a dropped, a repeated or a moved entry', async () => {
    const file = join(folder, 'moved.db');
    for (const sql of [
      'DELETE FROM entries WHERE sequence = 7',
      'DELETE FROM entries WHERE sequence > 15',
      'UPDATE entries SET sequence = 1000 WHERE sequence = 7; UPDATE entries SET sequence = 7 WHERE sequence = 8; UPDATE entries SET sequence = 8 WHERE sequence = 1000',
      'UPDATE entries SET body = (SELECT body FROM entries WHERE sequence = 3) WHERE sequence = 4',
    ]) {
      copyFileSync(original, file);
      alter(file, sql);
      expect((await commandJson<AuditView>(['audit', '--db', file], 1)).findings).not.toEqual([]);
    }
  });
});

describe('the audit of a truncated ledger file', () => {
  it('finds the missing part or refuses the file, for any length', async () => {
    const bytes = readFileSync(original);
    const file = join(folder, 'cut.db');
    for (const share of [0.99, 0.7, 0.4, 0.1, 0.001]) {
      writeFileSync(file, bytes.subarray(0, Math.floor(bytes.length * share)));
      expect(await auditResult(file)).not.toBe('nothing');
    }
  });
});

describe('altered projections', () => {
  const projectionTables = ['vms', 'attempts', 'hosts', 'configurations', 'dead_letters', 'progress', 'projection'];

  it.each([
    ['an altered value', `UPDATE vms SET host = 'evil'`],
    ['a row without JSON', `UPDATE vms SET body = 'evil'`],
    ['a missing row', 'DELETE FROM attempts'],
    ['an invented row', `INSERT INTO hosts VALUES (0, 'evil', 1, 1, '{}')`],
    ['a missing table', 'DROP TABLE vms'],
    ['a missing progress table', 'DROP TABLE progress'],
    ['no tables', projectionTables.map((name) => `DROP TABLE ${name}`).join(';')],
  ])('are found by the audit and repaired by a rebuild: %s', async (_, sql) => {
    const file = join(folder, 'projections.db');
    copyFileSync(original, file);
    alter(file, sql);
    const audit = await commandJson<AuditView>(['audit', '--db', file], 1);
    expect(audit.findings.map(({ kind }) => kind)).toContain('projection');
    const read = await commandLine(['status', '--db', file]);
    expect(read.code === 0 || /landfall (rebuild|audit)/.test(read.err)).toBe(true);
    expect(await commandLine(['rebuild', '--db', file])).toMatchObject({ code: 0 });
    expect((await commandJson<AuditView>(['audit', '--db', file])).findings).toEqual([]);
    expect(contentOf(file)).toBe(content);
  });

  it('are not rebuilt while a ledger entry is altered', async () => {
    const file = join(folder, 'spread.db');
    copyFileSync(original, file);
    alter(file, `UPDATE entries SET body = replace(body, 'host-a', 'host-x') WHERE sequence = 5`);
    for (const args of [['rebuild'], ['history', 'vm1'], ['status', '--at', '2026-12-31']]) {
      expect(await commandLine([...args, '--db', file])).toMatchObject({
        // The rebuild verifies every entry, so an altered entry is a finding; the other commands cannot do their work.
        code: args[0] === 'rebuild' ? 1 : 2,
        err: expect.stringContaining('error LEDGER_ALTERED: entry 0:5'),
      });
    }
  });
});

function alter(file: string, sql: string): void {
  const db = new DatabaseSync(file);
  db.exec(sql);
  db.close();
}
