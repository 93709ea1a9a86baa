import { existsSync, mkdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import { openWriter } from '../../log/sqlite/connection.ts';
import { migrations } from '../../log/sqlite/schema.ts';
import { entriesOf, VM } from '../support/entries.ts';
import { lockedFolder, MountedFolder } from './mounted-folder.ts';
import { Scratch } from './sqlite-harness.ts';

const canMount = MountedFolder.isPossible();
const isRoot = process.getuid?.() === 0;

async function written(scratch: Scratch, count: number): Promise<void> {
  const ledger = await scratch.open();
  const owner = await ledger.claim(0);
  await owner.commit({ entries: entriesOf('a', count), inputPositions: [] });
  await ledger.close();
}

function sql(file: string, text: string): void {
  const db = new DatabaseSync(file);
  db.exec(text);
  db.close();
}

function bind(file: string, text: string, ...values: (string | number)[]): void {
  const db = new DatabaseSync(file);
  db.prepare(text).run(...values);
  db.close();
}

describe.each(['write', 'read'] as const)('an opening of a ledger to %s', (mode) => {
  it('refuses a folder as the ledger', async () => {
    using scratch = new Scratch();
    await expect(scratch.open({ mode, file: scratch.folder })).rejects.toMatchObject({ code: 'LEDGER_NOT_A_LEDGER' });
  });

  it('refuses a file that is not SQLite and leaves it unchanged', async () => {
    using scratch = new Scratch();
    writeFileSync(scratch.file, 'a text of some length '.repeat(100));
    const before = readFileSync(scratch.file);
    await expect(scratch.open({ mode })).rejects.toMatchObject({ code: 'LEDGER_NOT_A_LEDGER' });
    expect(readFileSync(scratch.file)).toEqual(before);
    expect(existsSync(`${scratch.file}.lock`)).toBe(false);
  });

  it('refuses the SQLite file of another application and leaves it unchanged', async () => {
    using scratch = new Scratch();
    sql(scratch.file, 'CREATE TABLE notes (text TEXT)');
    const before = readFileSync(scratch.file);
    await expect(scratch.open({ mode })).rejects.toMatchObject({ code: 'LEDGER_NOT_A_LEDGER' });
    expect(readFileSync(scratch.file)).toEqual(before);
  });

  it('refuses a ledger of a newer Landfall', async () => {
    using scratch = new Scratch();
    await written(scratch, 1);
    sql(scratch.file, `PRAGMA user_version = ${migrations.length + 1}`);
    await expect(scratch.open({ mode })).rejects.toMatchObject({ code: 'LEDGER_NEWER' });
  });

  it('refuses a truncated ledger file', async () => {
    using scratch = new Scratch();
    await written(scratch, 200);
    for (const share of [0.9, 0.5, 0.1]) {
      truncateSync(scratch.file, Math.floor(statSync(scratch.file).size * share));
      const opening = scratch.open({ mode, verifyOnOpen: true });
      await expect(opening).rejects.toMatchObject({ code: expect.stringMatching(/^LEDGER_(DAMAGED|ALTERED)$/) });
    }
  });

  it('refuses a path in a missing folder', async () => {
    using scratch = new Scratch();
    const file = join(scratch.folder, 'none', 'ledger.db');
    await expect(scratch.open({ mode, file })).rejects.toMatchObject({ code: 'LEDGER_MISSING' });
  });
});

describe('an opening of a ledger', () => {
  it('refuses a missing file and does not create it, when reading', async () => {
    using scratch = new Scratch();
    await expect(scratch.open({ mode: 'read' })).rejects.toMatchObject({ code: 'LEDGER_MISSING' });
    expect(existsSync(scratch.file)).toBe(false);
  });

  it('refuses to write a ledger that is open for reading', async () => {
    using scratch = new Scratch();
    await written(scratch, 1);
    const ledger = await scratch.open({ mode: 'read' });
    await expect(ledger.claim(0)).rejects.toMatchObject({ code: 'LEDGER_READ_ONLY' });
    expect(() => ledger.readConnection().exec('DELETE FROM entries')).toThrow(/readonly/);
    await ledger.close();
  });

  it('treats an empty file as a new ledger', async () => {
    using scratch = new Scratch();
    writeFileSync(scratch.file, '');
    await written(scratch, 2);
    expect(readFileSync(scratch.file).subarray(68, 72).toString()).toBe('Land');
  });

  it.skipIf(!canMount)('allows reading but not writing on a read-only disk (as root)', async () => {
    using mounted = new MountedFolder('4m');
    using scratch = new Scratch();
    const file = join(mounted.folder, 'ledger.db');
    const ledger = await scratch.open({ file });
    await (await ledger.claim(0)).commit({ entries: entriesOf('a', 3), inputPositions: [] });
    await ledger.close();
    mounted.remount('ro');
    await expect(scratch.open({ file })).rejects.toMatchObject({ code: 'LEDGER_READ_ONLY' });
    const reader = await scratch.open({ file, mode: 'read' });
    expect((await reader.verify()).sequence).toBe(3);
    await reader.close();
    mounted.remount('rw');
  });

  it.skipIf(isRoot)('refuses to write in a folder without write permission (not as root)', async () => {
    using scratch = new Scratch();
    const file = join(lockedFolder(scratch.folder), 'ledger.db');
    await expect(scratch.open({ file })).rejects.toMatchObject({ code: 'LEDGER_READ_ONLY' });
  });

  it('applies the migrations that an older file requires', async () => {
    using scratch = new Scratch();
    const [first] = migrations;
    if (first === undefined) throw new Error('no migration');
    openWriter(scratch.file, 'full', [(db) => db.exec('CREATE TABLE ancient (x TEXT) STRICT')]).close();
    const steps = [() => {}, first, (db: DatabaseSync) => db.exec('DROP TABLE ancient')];
    const db = openWriter(scratch.file, 'full', steps);
    expect(db.prepare('PRAGMA user_version').get()).toEqual({ user_version: 3 });
    expect(db.prepare("SELECT count(*) AS n FROM sqlite_schema WHERE name = 'ancient'").get()).toEqual({ n: 0 });
    db.close();
  });

  it('migrates the entries, positions and checkpoints of schema version 1', async () => {
    using scratch = new Scratch();
    await written(scratch, 3);
    sql(
      scratch.file,
      `DROP INDEX entries_by_vm; DROP INDEX entries_by_migration;
       CREATE INDEX entries_by_vm ON entries (sequence >> 14, vm_key) WHERE vm_key IS NOT NULL;
       CREATE INDEX entries_by_migration ON entries (sequence >> 14, migration_key) WHERE migration_key IS NOT NULL;
       DROP TABLE checkpoints; ALTER TABLE input_positions RENAME TO positions;
       INSERT INTO positions VALUES ('inputs/0', 41);
       PRAGMA user_version = 1`,
    );
    bind(scratch.file, 'INSERT INTO positions VALUES (?, ?)', '\u0000relayed', 7);
    await expect(scratch.open({ mode: 'read' })).rejects.toMatchObject({ code: 'LEDGER_OLDER' });
    const migrated = await scratch.open();
    expect(await migrated.claim(0)).toMatchObject({
      inputPositions: new Map([['inputs/0', 41]]),
      checkpoints: new Map([['relayed', 7]]),
    });
    await migrated.close();
    const ledger = await scratch.open({ mode: 'read' });
    const found = await Array.fromAsync(ledger.readVm(VM));
    expect(found.map(({ sequence }) => sequence)).toEqual([1]);
    expect(ledger.findBookkeepingDamage()).toEqual([]);
    await ledger.close();
  });

  it('refuses a replica of another partition', async () => {
    using scratch = new Scratch();
    await written(scratch, 2);
    const replica = await scratch.open({ partition: 3 });
    expect((await Array.fromAsync(replica.read(3, 1))).map(({ partition }) => partition)).toEqual([3, 3]);
    await replica.close();
    expect((await scratch.open({ mode: 'read' })).partition).toBe(3);
    await expect(scratch.open({ partition: 4 })).rejects.toMatchObject({ code: 'LEDGER_ALTERED' });
  });

  it('undoes a migration that fails before its end', async () => {
    using scratch = new Scratch();
    openWriter(scratch.file).close();
    const failing = (db: DatabaseSync) => db.exec('CREATE TABLE half (x TEXT); SELECT nonsense');
    expect(() => openWriter(scratch.file, 'full', [...migrations, failing])).toThrow(/nonsense/);
    const db = openWriter(scratch.file);
    expect(db.prepare("SELECT count(*) AS n FROM sqlite_schema WHERE name = 'half'").get()).toEqual({ n: 0 });
    db.close();
  });
});

describe('a commit on a full disk', () => {
  it.skipIf(!canMount)('fails, and later commits succeed once there is free space', async () => {
    using mounted = new MountedFolder('2m');
    using scratch = new Scratch();
    mkdirSync(join(mounted.folder, 'db'));
    const ledger = await scratch.open({ file: join(mounted.folder, 'db', 'ledger.db') });
    const owner = await ledger.claim(0);
    let acknowledged = 0;
    const fill = async () => {
      for (let round = 0; round < 1000; round += 1) {
        acknowledged = (await owner.commit({ entries: entriesOf(`f${round}`, 20), inputPositions: [] })).sequence;
      }
    };
    await expect(fill()).rejects.toMatchObject({ code: 'LEDGER_FULL' });
    await expect(owner.commit({ entries: [], inputPositions: [] })).rejects.toMatchObject({ code: 'LEDGER_FULL' });
    expect((await ledger.verify()).sequence).toBe(acknowledged);
    mounted.remount('size=16m');
    const next = await ledger.claim(0);
    expect(next.claimedHead.sequence).toBe(acknowledged);
    await next.commit({ entries: entriesOf('after', 2), inputPositions: [] });
    expect((await ledger.verify()).sequence).toBe(acknowledged + 2);
    await expect(next.commit({ entries: entriesOf('g', 60_000), inputPositions: [] })).rejects.toThrow(/full/);
    await ledger.close();
  });
});
