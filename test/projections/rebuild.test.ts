import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SqliteLedger } from '../../log/sqlite/ledger.ts';
import { asOf } from '../../projections/as-of.ts';
import { migrations } from '../../projections/attempts.ts';
import { difference } from '../../projections/difference.ts';
import { extract, follow } from '../../projections/follow.ts';
import { rebuild, scratch } from '../../projections/rebuild.ts';
import { clear, followed, PROJECTION_VERSION, projectionVersion } from '../../projections/schema.ts';
import { vmStatus } from '../../projections/vms.ts';
import { MemoryLedger } from '../support/memory-ledger.ts';
import { DB, longStory, Story, WEB } from '../support/projection-story.ts';

let story: Story;
beforeAll(async () => {
  story = await longStory();
});

async function rebuilt(): Promise<DatabaseSync> {
  const db = scratch();
  await rebuild(story.ledger, db);
  return db;
}

describe('a rebuild', () => {
  it('gives the tables that following gave, entry by entry', async () => {
    const followedOne = scratch();
    const follower = follow(followedOne);
    for (const { sequence, entry } of story.ledger.stored) {
      follower.apply(sequence - 1, extract([entry]));
    }
    expect(difference(followedOne, await rebuilt())).toEqual([]);
  });

  it('replaces what was there, tells how far it is, and names its end', async () => {
    const db = await rebuilt();
    db.exec(`UPDATE vms SET body = '{}'; DELETE FROM attempts; INSERT INTO progress VALUES (0, 'forged', 999, 1)`);
    const told: number[] = [];
    expect(await rebuild(story.ledger, db, (entries) => told.push(entries))).toBe(story.ledger.stored.length);
    expect(told.at(-1)).toBe(story.ledger.stored.length);
    expect(difference(db, await rebuilt())).toEqual([]);
    expect(followed(db)).toBe(story.ledger.stored.length);
  });

  it('leaves everything as it was where the ledger cannot be read', async () => {
    const db = await rebuilt();
    await expect(rebuild(new UnreadableLedger(), db)).rejects.toThrow('unreadable');
    expect(difference(db, await rebuilt())).toEqual([]);
  });

  it('throws away what another version wrote', async () => {
    const db = await rebuilt();
    db.exec('UPDATE projection SET version = 0');
    await rebuild(story.ledger, db);
    expect(projectionVersion(db)).toBe(PROJECTION_VERSION);
    expect(difference(db, await rebuilt())).toEqual([]);
  });
});

class UnreadableLedger extends MemoryLedger {
  override async *read(): AsyncGenerator<never> {
    yield* [];
    throw new Error('unreadable');
  }
}

describe('a difference', () => {
  it('names table, key and column', async () => {
    const db = await rebuilt();
    db.exec(`UPDATE vms SET host = 'h9' WHERE name = 'web'`);
    expect(difference(db, await rebuilt())).toMatchObject([
      { table: 'vms', key: WEB, column: 'host', left: 'h9', right: 'h2' },
    ]);
  });

  it('finds a row that one side lacks', async () => {
    const db = await rebuilt();
    db.exec(`DELETE FROM attempts WHERE migration = 'm1'`);
    const found = { table: 'attempts', key: 'm1/0', column: null };
    expect(difference(db, await rebuilt())).toMatchObject([{ ...found, left: null, right: 'present' }]);
    expect(difference(await rebuilt(), db)).toMatchObject([{ ...found, left: 'present', right: null }]);
  });

  it('stops at its limit, and sorts keys as SQLite does', () => {
    const [a, b] = [scratch(), scratch()];
    for (const name of ['￿', '𐀀', 'z', 'h']) a.prepare('INSERT INTO hosts VALUES (0, ?, 1, 1, ?)').run(name, '{}');
    for (const name of ['￿', '𐀀']) b.prepare('INSERT INTO hosts VALUES (0, ?, 1, 1, ?)').run(name, '{}');
    expect(difference(a, b).map(({ key }) => key)).toEqual(['0/h', '0/z']);
    expect(difference(a, b, 0, 1)).toHaveLength(1);
    clear(a, 0);
    clear(b);
    expect(difference(a, b)).toEqual([]);
  });
});

describe('a look into the past', () => {
  it('gives what was known then, at every entry', async () => {
    for (const { entry } of story.ledger.stored.slice(0, 30)) {
      const then = await asOf(story.ledger, 0, entry.time);
      const last = story.ledger.stored.findLast((stored) => stored.entry.time <= entry.time);
      expect(vmStatus(then).every(({ asOf: { position } }) => position === `0:${last?.sequence}`)).toBe(true);
      then.close();
    }
  });

  it('knows neither the verdict nor the new host before they were', async () => {
    const verdict = story.ledger.stored.find(({ entry }) => entry.verdict !== null);
    const then = await asOf(story.ledger, 0, (verdict?.entry.time ?? 0) - 1);
    expect(vmStatus(then, WEB)).toMatchObject([{ host: 'h1', certainty: 'provisional', migration: 'm1' }]);
    expect(migrations(then)).toMatchObject([{ state: 'ApiFailed', verdict: null, settled: false }]);
    then.close();
    const before = await asOf(story.ledger, 0, 0);
    expect(vmStatus(before)).toEqual([]);
    before.close();
  });

  it('takes the entries of every clock by their own time', async () => {
    const several = new Story();
    await several.site();
    await several.declare(WEB, 'web');
    several.clock = 'recorded:old';
    several.now -= 86_400_000;
    await several.declare(DB, 'db');
    const then = await asOf(several.ledger, 0, several.now);
    expect(vmStatus(then).map(({ vm }) => vm)).toEqual([DB]);
    then.close();
  });
});

describe('in the file of a ledger', () => {
  const folder = mkdtempSync(join(tmpdir(), 'landfall-projections-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const options = { file: join(folder, 'ledger.db'), mode: 'write', machineVersion: 'test' } as const;
  const followers = [new URL('../../projections/follow.ts', import.meta.url).href];

  it('follows every commit, and catches up with what was written without it', async () => {
    const half = story.ledger.entries.length / 2;
    await commit(story.ledger.entries.slice(0, half), []);
    await commit(story.ledger.entries.slice(half), followers);
    const db = new DatabaseSync(options.file, { readOnly: true });
    expect(difference(db, await rebuilt())).toEqual([]);
    db.close();
  });

  it('refuses to go on after a ledger whose tail was cut off', async () => {
    const db = new DatabaseSync(options.file);
    db.exec('DELETE FROM snapshots; DELETE FROM entries WHERE sequence > 100');
    db.close();
    await expect(SqliteLedger.open({ ...options, followers })).rejects.toThrow('its tail was cut off');
  });

  async function commit(entries: Story['ledger']['entries'], urls: string[]): Promise<void> {
    const ledger = await SqliteLedger.open({ ...options, followers: urls });
    const owner = await ledger.claim(0);
    await owner.commit({ entries, inputPositions: [] });
    await owner.release();
    await ledger.close();
  }
});
