import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { type AuditView, commandJson, commandLine } from '../support/command-line.ts';
import { recording, scratchFolder } from '../support/landfall.ts';

/**
 * Tests that an altered ledger file is found by the audit or refused at opening. SEED= repeats a failed run.
 *
 * An altered byte may stay unnoticed only if the schema and all meaningful tables read the same as before, such as free
 * space or SQLite's counters.
 */

const seed = Number(process.env['SEED'] ?? 335_968);
const SQL_FLIPS = 150;
const RAW_FLIPS = 150;

/** Tables that decide nothing: the claim counter, positions (a hint), and snapshot metadata. */
const tablesWithoutMeaning = new Set(['meta', 'input_positions', 'checkpoints', 'snapshots']);

let folder: string;
let original: string;
let content: string;

beforeAll(async () => {
  folder = scratchFolder(() => {});
  original = join(folder, 'original.db');
  await commandLine(['ingest', recording('abort'), '--db', original]);
  content = contentOf(original);
});

function contentOf(file: string): string {
  const db = new DatabaseSync(file, { readOnly: true });
  try {
    const schema = db.prepare('SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name').all();
    const names = schema.filter(({ type }) => type === 'table').map(({ name }) => String(name));
    const tables = names
      .filter((name) => !tablesWithoutMeaning.has(name))
      .map((name) => [name, db.prepare(`SELECT * FROM "${name}"`).all()]);
    return JSON.stringify([schema, tables]);
  } finally {
    db.close();
  }
}

const contentOrNull = (file: string): string | null => {
  try {
    return contentOf(file);
  } catch {
    return null;
  }
};

/** Returns the audit's result for a file: a finding, a refusal with a reason, or nothing. */
async function auditResult(file: string): Promise<'finding' | 'refused' | 'nothing'> {
  const { code, out, err } = await commandLine(['audit', '--json', '--db', file]);
  if (code === 0) return 'nothing';
  const isRefused = code === 2 && /^error (LEDGER|ENTRY)_[A-Z_]+: /.test(err);
  const isFinding = code === 1 && (JSON.parse(out) as AuditView).findings.length > 0;
  if (!isRefused && !isFinding) throw new Error(`exit ${code} without a reason: ${err}`);
  return isRefused ? 'refused' : 'finding';
}

const columns = ['previous', 'hash', 'vm', 'vm_key', 'migration', 'migration_key', 'time', 'clock', 'body'] as const;

describe('the audit of altered entries', () => {
  it(`finds any altered byte of an entry (seed ${seed})`, async () => {
    const file = join(folder, 'sql.db');
    copyFileSync(original, file);
    const db = new DatabaseSync(file);
    const count = Number(db.prepare('SELECT count(*) AS n FROM entries').get()?.['n']);
    const flip = fc.record({
      sequence: fc.integer({ min: 1, max: count }),
      column: fc.constantFrom(...columns),
      at: fc.nat(),
      bit: fc.nat(7),
    });
    const isFound = async ({
      sequence,
      column,
      at,
      bit,
    }: {
      sequence: number;
      column: string;
      at: number;
      bit: number;
    }) => {
      const row = db
        .prepare(`SELECT CAST(${column} AS BLOB) AS bytes, typeof(${column}) AS type FROM entries WHERE sequence = ?`)
        .get(sequence);
      if (!(row?.['bytes'] instanceof Uint8Array) || row['bytes'].length === 0) return;
      const bytes = Buffer.from(row['bytes']);
      const place = at % bytes.length;
      bytes[place] = (bytes[place] ?? 0) ^ (1 << bit);
      const whole = db.prepare('SELECT * FROM entries WHERE sequence = ?').get(sequence);
      const cast = row['type'] === 'blob' ? '?' : row['type'] === 'text' ? 'CAST(? AS TEXT)' : '? + 0';
      const value = row['type'] === 'integer' ? Number(whole?.[column]) ^ (1 << bit) : bytes;
      const set = db.prepare(`UPDATE entries SET ${column} = ${cast} WHERE sequence = ?`);
      set.run(value, sequence);
      try {
        expect(await auditResult(file)).not.toBe('nothing');
      } finally {
        db.prepare(`UPDATE entries SET ${column} = ? WHERE sequence = ?`).run(whole?.[column] ?? null, sequence);
      }
    };
    await fc.assert(fc.asyncProperty(flip, isFound), { seed, numRuns: SQL_FLIPS });
    db.close();
    expect(await auditResult(file)).toBe('nothing');
  });

  it('finds a dropped, repeated or moved entry', async () => {
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

it(`finds or refuses any altered bit with a meaning (seed ${seed})`, {
  timeout: 120_000,
}, async () => {
  const bytes = readFileSync(original);
  const file = join(folder, 'raw.db');
  const outcomes = { finding: 0, refused: 0, nothing: 0 };
  const flip = fc.record({ at: fc.nat(bytes.length - 1), bit: fc.nat(7) });
  const isNoticed = async ({ at, bit }: { at: number; bit: number }) => {
    const altered = Buffer.from(bytes);
    altered[at] = (altered[at] ?? 0) ^ (1 << bit);
    writeFileSync(file, altered);
    const verdict = await auditResult(file);
    outcomes[verdict] += 1;
    expect(verdict === 'nothing' ? contentOrNull(file) : content).toBe(content);
  };
  await fc.assert(fc.asyncProperty(flip, isNoticed), { seed, numRuns: RAW_FLIPS });
  expect(outcomes.finding + outcomes.refused).toBeGreaterThan(0);
});

it('finds or refuses a truncated file of any length', async () => {
  const bytes = readFileSync(original);
  const file = join(folder, 'cut.db');
  for (const share of [0.99, 0.7, 0.4, 0.1, 0.001]) {
    writeFileSync(file, bytes.subarray(0, Math.floor(bytes.length * share)));
    expect(await auditResult(file)).not.toBe('nothing');
  }
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
  ])('with %s are found by the audit and repaired by a rebuild', async (_, sql) => {
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

  it('are not rebuilt from an altered entry', async () => {
    const file = join(folder, 'spread.db');
    copyFileSync(original, file);
    alter(file, `UPDATE entries SET body = replace(body, 'host-a', 'host-x') WHERE sequence = 5`);
    for (const args of [['rebuild'], ['history', 'vm1'], ['status', '--at', '2026-12-31']]) {
      expect(await commandLine([...args, '--db', file])).toMatchObject({
        code: 2,
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
