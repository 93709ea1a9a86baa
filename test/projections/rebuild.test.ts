import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SqliteLedger } from '../../log/sqlite/ledger.ts';
import { asOf } from '../../projections/as-of.ts';
import { migrations } from '../../projections/attempts.ts';
import { difference } from '../../projections/difference.ts';
import { extract, open } from '../../projections/inline-projection.ts';
import { rebuild } from '../../projections/rebuild.ts';
import { clear, foldedThrough, PROJECTION_VERSION, projectionVersion } from '../../projections/schema.ts';
import { scratch } from '../../projections/scratch.ts';
import { vmStatus } from '../../projections/vms.ts';
import { DB, longStory, Story, WEB } from '../support/projection-story.ts';

let story: Story;
beforeAll(async () => {
  story = await longStory();
});

/** Returns the projections of the story, folded from the beginning. */
const folded = () => asOf(story.ledger, 0, Number.POSITIVE_INFINITY);

describe('the inline projection', () => {
  it('writes equal rows entry by entry and in one fold', async () => {
    const db = scratch();
    const projection = open(db, 0);
    for (const { sequence, entry } of story.ledger.stored) projection.apply(sequence - 1, extract([entry]));
    expect(difference(db, await folded())).toEqual([]);
  });
});

describe('difference', () => {
  it('reports table, key and column', async () => {
    const db = await folded();
    db.exec(`UPDATE vms SET host = 'h9' WHERE name = 'web'`);
    expect(difference(db, await folded())).toMatchObject([
      { table: 'vms', key: WEB, column: 'host', left: 'h9', right: 'h2' },
    ]);
  });

  it('reports a row that one side lacks', async () => {
    const db = await folded();
    db.exec(`DELETE FROM attempts WHERE migration = 'm1'`);
    const found = { table: 'attempts', key: 'm1/0', column: null };
    expect(difference(db, await folded())).toMatchObject([{ ...found, left: null, right: 'present' }]);
    expect(difference(await folded(), db)).toMatchObject([{ ...found, left: 'present', right: null }]);
  });

  it('sorts keys as SQLite does and stops at its limit', () => {
    const [a, b] = [scratch(), scratch()];
    for (const name of ['￿', '𐀀', 'z', 'h']) a.prepare('INSERT INTO hosts VALUES (0, ?, 1, 1, ?)').run(name, '{}');
    for (const name of ['￿', '𐀀']) b.prepare('INSERT INTO hosts VALUES (0, ?, 1, 1, ?)').run(name, '{}');
    expect(difference(a, b).map(({ key }) => key)).toEqual(['0/h', '0/z']);
    expect(difference(a, b, 1)).toHaveLength(1);
    clear(a);
    clear(b);
    expect(difference(a, b)).toEqual([]);
  });
});

describe('asOf', () => {
  it('returns the state as of every entry', async () => {
    for (const { entry } of story.ledger.stored.slice(0, 30)) {
      const then = await asOf(story.ledger, 0, entry.time);
      const last = story.ledger.stored.findLast((stored) => stored.entry.time <= entry.time);
      expect(vmStatus(then).every(({ asOf: { position } }) => position === `0:${last?.sequence}`)).toBe(true);
      then.close();
    }
  });

  it('excludes a verdict and a host that were recorded later', async () => {
    const verdict = story.ledger.stored.find(({ entry }) => entry.verdict !== null);
    const then = await asOf(story.ledger, 0, (verdict?.entry.time ?? 0) - 1);
    expect(vmStatus(then, WEB)).toMatchObject([{ host: 'h1', certainty: 'provisional', migration: 'm1' }]);
    expect(migrations(then)).toMatchObject([{ state: 'ApiFailed', verdict: null, settled: false }]);
    then.close();
    const before = await asOf(story.ledger, 0, 0);
    expect(vmStatus(before)).toEqual([]);
    before.close();
  });

  it('selects the entries of each clock by their own time', async () => {
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

describe('a rebuild of a ledger file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'landfall-projections-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const options = { file: join(folder, 'ledger.db'), mode: 'write', machineVersion: 'test' } as const;
  const projections = [new URL('../../projections/inline-projection.ts', import.meta.url).href];

  it('starts from projections that caught up with commits made without them', async () => {
    const half = story.ledger.entries.length / 2;
    await commit(story.ledger.entries.slice(0, half), []);
    await commit(story.ledger.entries.slice(half), projections);
    expect(await differences()).toEqual([]);
  });

  it('replaces forged rows and reports its progress', async () => {
    alter(`UPDATE vms SET body = '{}'; DELETE FROM attempts; INSERT INTO progress VALUES (0, 'forged', 999, 1)`);
    const progress: number[] = [];
    const count = story.ledger.stored.length;
    expect(await rebuilt((entries) => progress.push(entries))).toBe(count);
    expect(progress.at(-1)).toBe(count);
    expect(await differences()).toEqual([]);
    const db = new DatabaseSync(options.file, { readOnly: true });
    expect(foldedThrough(db)).toBe(count);
    db.close();
  });

  it('replaces tables of another version', async () => {
    alter('UPDATE projection SET version = 0');
    await rebuilt();
    const db = new DatabaseSync(options.file, { readOnly: true });
    expect(projectionVersion(db)).toBe(PROJECTION_VERSION);
    db.close();
    expect(await differences()).toEqual([]);
  });

  it('leaves the projections unchanged if the fold fails', async () => {
    const ledger = await SqliteLedger.open({ ...options, projections, forRebuild: true });
    const failing = ledger.rebuildProjections(async (apply) => {
      await apply(extract([]));
      throw new Error('unreadable');
    });
    await expect(failing).rejects.toThrow('unreadable');
    await ledger.close();
    expect(await differences()).toEqual([]);
  });

  it('folds again if the file has rows of another partition', async () => {
    alter('UPDATE vms SET partition = 3; UPDATE progress SET partition = 3');
    await (await SqliteLedger.open({ ...options, projections })).close();
    expect(await differences()).toEqual([]);
  });

  it('refuses a ledger whose tail was cut off', async () => {
    alter('DELETE FROM snapshots; DELETE FROM entries WHERE sequence > 100');
    await expect(SqliteLedger.open({ ...options, projections })).rejects.toThrow('its tail was cut off');
  });

  function alter(sql: string): void {
    const db = new DatabaseSync(options.file);
    db.exec(sql);
    db.close();
  }

  async function differences() {
    const db = new DatabaseSync(options.file, { readOnly: true });
    try {
      return difference(db, await folded());
    } finally {
      db.close();
    }
  }

  async function rebuilt(progress?: (entries: number) => void): Promise<number> {
    const ledger = await SqliteLedger.open({ ...options, projections, forRebuild: true });
    try {
      return await rebuild(ledger, progress);
    } finally {
      await ledger.close();
    }
  }

  async function commit(entries: Story['ledger']['entries'], urls: string[]): Promise<void> {
    const ledger = await SqliteLedger.open({ ...options, projections: urls });
    const owner = await ledger.claim(0);
    await owner.commit({ entries, inputPositions: [] });
    await owner.release();
    await ledger.close();
  }
});
