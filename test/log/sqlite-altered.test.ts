import fc from 'fast-check';
import { readFileSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import { ENTRY_VERSION } from '../../events/entry-version.ts';
import { ChainFault, link } from '../../log/chain.ts';
import { trustedHead, verifyRows } from '../../log/sqlite/snapshots.ts';
import { entriesOf } from '../support/entries.ts';
import { Scratch } from './sqlite-harness.ts';

let template: Buffer | undefined;

/** Returns a ledger of ten entries without a snapshot, as a crash leaves it. */
async function tenEntries(scratch: Scratch): Promise<void> {
  template ??= await tenEntriesWritten();
  writeFileSync(scratch.file, template);
}

async function tenEntriesWritten(): Promise<Buffer> {
  using scratch = new Scratch();
  const ledger = await scratch.open();
  await (await ledger.claim(0)).commit({ entries: entriesOf('a', 10), inputPositions: [] });
  await ledger.close();
  alter(scratch, 'DELETE FROM snapshots');
  return readFileSync(scratch.file);
}

function alter(scratch: Scratch, sql: string): void {
  const db = new DatabaseSync(scratch.file);
  db.exec(sql);
  db.close();
}

const RENUMBER = (from: number, to: number) => `UPDATE entries SET sequence = ${to} WHERE sequence = ${from};`;

describe('opening an altered ledger', () => {
  it.each([
    ['an altered text', `UPDATE entries SET body = replace(body, 'a-4', 'b-4') WHERE sequence = 4`, 4, 'altered'],
    ['a text that is invalid JSON', `UPDATE entries SET body = '{' WHERE sequence = 4`, 4, 'altered'],
    [
      'a text with another version',
      `UPDATE entries SET body = replace(body, '"v":${ENTRY_VERSION}', '"v":9') WHERE sequence = 4`,
      4,
      'altered',
    ],
    ['a text followed by a NUL', `UPDATE entries SET body = body || char(0) || 'x' WHERE sequence = 4`, 4, 'altered'],
    ['an altered hash', `UPDATE entries SET hash = zeroblob(32) WHERE sequence = 4`, 4, 'altered'],
    ['an altered previous hash', `UPDATE entries SET previous = zeroblob(32) WHERE sequence = 4`, 4, 'altered'],
    [
      'an altered last entry',
      `UPDATE entries SET body = replace(body, 'a-10', 'a-11') WHERE sequence = 10`,
      10,
      'altered',
    ],
    ['an altered search column', `UPDATE entries SET vm = NULL WHERE sequence = 4`, 4, 'altered'],
    ['an altered index key', `UPDATE entries SET vm_key = 1 WHERE sequence = 4`, 4, 'altered'],
    ['a dropped entry', 'DELETE FROM entries WHERE sequence = 4', 4, 'missing'],
    ['a dropped first entry', 'DELETE FROM entries WHERE sequence = 1', 1, 'missing'],
    [
      'a dropped entry whose successors were renumbered',
      `DELETE FROM entries WHERE sequence = 4; ${RENUMBER(5, 4)}`,
      4,
      'reordered',
    ],
    ['two exchanged entries', `${RENUMBER(4, 99)} ${RENUMBER(5, 4)} ${RENUMBER(99, 5)}`, 4, 'reordered'],
  ])('reports the alteration: %s', async (_, sql, sequence, reason) => {
    using scratch = new Scratch();
    await tenEntries(scratch);
    alter(scratch, sql);
    const fault = { code: 'LEDGER_ALTERED', position: { partition: 0, sequence }, reason };
    await expect(scratch.open()).rejects.toMatchObject(fault);
    const ledger = await scratch.open({ verifyOnOpen: false });
    await expect(ledger.verify()).rejects.toMatchObject(fault);
    await expect(ledger.verify()).rejects.toBeInstanceOf(ChainFault);
    await ledger.close();
  });

  it('does not trust an entry that an earlier opening did not verify', async () => {
    using scratch = new Scratch();
    await tenEntries(scratch);
    alter(scratch, `UPDATE entries SET hash = zeroblob(32) WHERE sequence = 4`);
    const ledger = await scratch.open({ verifyOnOpen: false });
    await (await ledger.claim(0)).commit({ entries: entriesOf('b', 1), inputPositions: [] });
    await ledger.close();
    await expect(scratch.open()).rejects.toMatchObject({ position: { sequence: 4 } });
  });

  it('reports the entry after an entry that was rewritten with a hash', async () => {
    using scratch = new Scratch();
    await tenEntries(scratch);
    const db = new DatabaseSync(scratch.file);
    const { body, previous } =
      db.prepare('SELECT body, hex(previous) AS previous FROM entries WHERE sequence = 4').get() ?? {};
    const text = String(body).replace('a-4', 'b-4');
    const hash = link(String(previous).toLowerCase(), text);
    db.prepare('UPDATE entries SET body = ?, hash = ? WHERE sequence = 4').run(text, Buffer.from(hash, 'hex'));
    db.close();
    await expect(scratch.open()).rejects.toMatchObject({ position: { sequence: 5 }, reason: 'reordered' });
  });

  it('detects a missing end of the ledger by a later snapshot', async () => {
    using scratch = new Scratch();
    const ledger = await scratch.open();
    await (await ledger.claim(0)).commit({ entries: entriesOf('a', 10), inputPositions: [] });
    await ledger.close();
    alter(scratch, 'DELETE FROM entries WHERE sequence > 8');
    await expect(scratch.open()).rejects.toMatchObject({ position: { sequence: 9 }, reason: 'missing' });
  });

  it('detects any changed byte in the text of an entry', async () => {
    using scratch = new Scratch();
    await tenEntries(scratch);
    const db = new DatabaseSync(scratch.file);
    const set = db.prepare('UPDATE entries SET body = CAST(? AS TEXT) WHERE sequence = 4');
    const original = Buffer.from(String(db.prepare('SELECT body FROM entries WHERE sequence = 4').get()?.['body']));
    const isFound = (at: number, byte: number) => {
      const bytes = Buffer.from(original);
      bytes[at] = byte;
      db.exec('BEGIN');
      set.run(bytes);
      try {
        verifyRows(db, trustedHead(db, 'test'));
        return original[at] === byte;
      } catch (error) {
        return error instanceof ChainFault && error.position.sequence === 4;
      } finally {
        db.exec('ROLLBACK');
      }
    };
    for (let at = 0; at < original.length; at += 1) expect(isFound(at, (original[at] ?? 0) ^ 1)).toBe(true);
    const place = fc.nat(original.length - 1);
    fc.assert(fc.property(place, fc.nat(255), isFound), { numRuns: 500 });
    db.close();
  });
});

describe('a snapshot', () => {
  const verifiedFrom = (scratch: Scratch, machineVersion: string) => {
    const db = new DatabaseSync(scratch.file, { readOnly: true });
    const { sequence } = trustedHead(db, machineVersion);
    db.close();
    return sequence;
  };

  async function twoSnapshots(scratch: Scratch): Promise<void> {
    for (const prefix of ['a', 'b']) {
      const ledger = await scratch.open();
      await (await ledger.claim(0)).commit({ entries: entriesOf(prefix, 10), inputPositions: [] });
      await ledger.close();
    }
  }

  it('is written at a close and shortens the check at the start', async () => {
    using scratch = new Scratch();
    await twoSnapshots(scratch);
    expect(verifiedFrom(scratch, 'test')).toBe(20);
    alter(scratch, `UPDATE entries SET body = 'x' WHERE sequence = 3`);
    const ledger = await scratch.open();
    await expect(ledger.verify()).rejects.toMatchObject({ position: { sequence: 3 } });
    await ledger.close();
  });

  it('is ignored if its hash differs from its entry', async () => {
    using scratch = new Scratch();
    await twoSnapshots(scratch);
    alter(scratch, 'UPDATE snapshots SET hash = zeroblob(32) WHERE sequence = 20');
    expect(verifiedFrom(scratch, 'test')).toBe(10);
  });

  it('is ignored if another version of the machine wrote it', async () => {
    using scratch = new Scratch();
    await twoSnapshots(scratch);
    expect(verifiedFrom(scratch, 'other')).toBe(0);
  });

  it('is written every 10,000 entries', async () => {
    using scratch = new Scratch();
    const ledger = await scratch.open();
    const owner = await ledger.claim(0);
    await Promise.all(
      Array.from({ length: 21 }, (_, nth) => owner.commit({ entries: entriesOf(`n${nth}`, 500), inputPositions: [] })),
    );
    expect(verifiedFrom(scratch, 'test')).toBeGreaterThanOrEqual(10_000);
    await ledger.close();
  });
});
