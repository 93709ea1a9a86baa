import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type AuditView, commandLine } from '../support/command-line.ts';
import { recording, scratchFolder } from '../support/landfall.ts';

/**
 * Tests that an altered ledger file is found by the audit or refused at opening. SEED= repeats a failed run.
 *
 * An altered byte may stay unnoticed only if the schema and all meaningful tables read the same as before, such as free
 * space or SQLite's counters.
 */

const seed = Number(process.env['SEED'] ?? 335_968);

/** Tables that decide nothing: the claim counter, positions (a hint), and snapshot metadata. */
const tablesWithoutMeaning = new Set(['meta', 'input_positions', 'checkpoints', 'snapshots']);

export function contentOf(file: string): string {
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
export async function auditResult(file: string): Promise<'finding' | 'refused' | 'nothing'> {
  const { code, out, err } = await commandLine(['audit', '--json', '--db', file]);
  if (code === 0) return 'nothing';
  const isRefused = code === 2 && /^error (LEDGER|ENTRY)_[A-Z_]+: /.test(err);
  const isFinding = code === 1 && (JSON.parse(out) as AuditView).findings.length > 0;
  if (!isRefused && !isFinding) throw new Error(`exit ${code} without a reason: ${err}`);
  return isRefused ? 'refused' : 'finding';
}

const columns = ['previous', 'hash', 'vm', 'vm_key', 'migration', 'migration_key', 'time', 'clock', 'body'] as const;

/** Creates the ledger file that each test copies and alters. */
export async function originalLedger(
  folder = scratchFolder(),
): Promise<{ folder: string; original: string; content: string }> {
  const original = join(folder, 'original.db');
  await commandLine(['ingest', recording('abort'), '--db', original]);
  return { folder, original, content: contentOf(original) };
}

/** Defines the tests of random altered bits, each with this number of bits. */
export function testAlteredBits(numRuns: number): void {
  it(`finds any altered byte of an entry (seed ${seed})`, async () => {
    const { folder, original } = await originalLedger();
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
    await fc.assert(fc.asyncProperty(flip, isFound), { seed, numRuns });
    db.close();
    expect(await auditResult(file)).toBe('nothing');
  });

  it(`finds or refuses any altered bit with a meaning (seed ${seed})`, async () => {
    const { folder, original, content } = await originalLedger();
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
    await fc.assert(fc.asyncProperty(flip, isNoticed), { seed, numRuns });
    expect(outcomes.finding + outcomes.refused).toBeGreaterThan(0);
  });
}
