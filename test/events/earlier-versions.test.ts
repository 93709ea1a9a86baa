import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { withReadOnlyLedger, withWriter } from '../../cli/ledger-file.ts';
import type { Driver } from '../../engine/driver.ts';
import { Entry } from '../../events/entries.ts';
import { ENTRY_VERSION } from '../../events/entry-version.ts';
import { upcastEntry } from '../../events/upcast.ts';
import { entryOf, peekEntry } from '../../log/entry-text.ts';
import { path } from '../../machines/chart.ts';
import { migrations } from '../../projections/attempts.ts';
import { audit } from '../../projections/audit.ts';
import { ROOT, scratchFolder } from '../support/landfall.ts';

const START = Date.UTC(2026, 0, 1);
const CONTINUED_MS = 700_000;
const fixture = (name: string) => readFileSync(join(ROOT, 'test/fixtures', name));

/** Returns a copy of the ledger that version 1 wrote. */
function ledgerOfVersion1(): string {
  const file = join(scratchFolder(), 'ledger.db');
  writeFileSync(file, gunzipSync(fixture('ledger-v1.db.gz')));
  return file;
}

function textsIn(file: string): string[] {
  const db = new DatabaseSync(file, { readOnly: true });
  const texts = db.prepare('SELECT body FROM entries ORDER BY sequence').all();
  db.close();
  return texts.map(({ body }) => String(body));
}

function lineOf({ time, attempt, verdict }: Entry): string {
  const made = attempt?.attempt.verdicts.find(({ number }) => number === verdict);
  const decided = made === undefined ? 'no verdict' : `${made.outcome} by row ${made.row}`;
  return `${(time - START) / 1000} s  ${attempt?.attempt.migration}  ${path(attempt?.value ?? '')}  ${decided}`;
}

/** Fires every open timer at its time while no host answers. @returns a line for each, as in the fixture. */
async function continueUnanswered(driver: Driver): Promise<string> {
  const { partition } = driver;
  const lines: string[] = [];
  driver.onCommitted((entries) => {
    for (const entry of entries) if (entry.cause.kind === 'timer') lines.push(lineOf(entry));
  });
  for (const clock of ['recorded:old', 'wall']) {
    for (
      let due = partition.nextDueAt(clock);
      due !== null && due <= START + CONTINUED_MS;
      due = partition.nextDueAt(clock)
    ) {
      partition.fire(due, clock);
      await driver.flush();
    }
  }
  return `${lines.join('\n')}\n`;
}

async function auditOf(file: string) {
  return withReadOnlyLedger(file, async ({ ledger }) => {
    const projections = new DatabaseSync(file, { readOnly: true });
    try {
      return await audit(ledger, 0, { projections });
    } finally {
      projections.close();
    }
  });
}

describe('a ledger of entry version 1', () => {
  it('continues with its open deadlines at their stored times', async () => {
    const file = ledgerOfVersion1();
    const continued = await withWriter(file, continueUnanswered);
    expect(continued).toBe(fixture('ledger-v1-continued.txt').toString());
  });

  it('passes the audit before and after new entries are added', async () => {
    const file = ledgerOfVersion1();
    await withWriter(file, async () => {});
    expect(await auditOf(file)).toMatchObject({ entries: 157, findings: [], verdicts: { checked: 6, differing: 0 } });
    await withWriter(file, continueUnanswered);
    expect(await auditOf(file)).toMatchObject({ entries: 285, findings: [], verdicts: { checked: 12, differing: 0 } });
  });

  it('keeps its verdicts and the original text of its entries', async () => {
    const file = ledgerOfVersion1();
    const texts = textsIn(file);
    await withWriter(file, async () => {});
    expect(textsIn(file)).toEqual(texts);
    const rows = await withReadOnlyLedger(file, ({ db }) =>
      migrations(db).map(({ migration, at, verdict }) => [migration, at, verdict?.row]),
    );
    expect(rows).toEqual([
      ['m1', 'Completed.settled', 'landed'],
      ['m2', 'RolledBack.settled', 'stayed'],
      ['m3', 'RolledBack.contested', 'both-alive'],
      ['m4', 'Completed.provisional', 'silent-source'],
      ['m12', 'Completed.reexamining', 'landed'],
      ['m5', 'Rechecking.finalRound', undefined],
      ['m7', 'Rechecking.watching', undefined],
      ['m6', 'Rechecking.watching', undefined],
      ['r1', 'ApiFailed', undefined],
      ['m8', 'Completed.settling', 'landed'],
      ['m9', 'ApiFailed', undefined],
      ['m10', 'Migrating.verifying', undefined],
      ['m11', 'Migrating.inFlight', undefined],
    ]);
  });

  it('is read as entries that match the current schema', () => {
    const texts = textsIn(ledgerOfVersion1());
    for (const text of texts) expect(Entry.safeParse(entryOf(text)).error).toBeUndefined();
  });

  it('has the same fields when peeked and when fully parsed', () => {
    const sights = textsIn(ledgerOfVersion1()).flatMap((text) => {
      const peeked = peekEntry(text);
      return peeked === null ? [] : [{ peeked, entry: entryOf(text) }];
    });
    expect(sights.length).toBeGreaterThan(100);
    for (const { peeked, entry } of sights)
      expect(peeked).toEqual({
        time: entry.time,
        clock: entry.clock,
        vm: entry.vm,
        migration: entry.attempt?.attempt.migration,
        hasRecord: entry.record !== null,
      });
  });
});

describe('upcastEntry', () => {
  const timer = { dueAt: 1, generation: 1 };
  const ofVersion1 = (id: string) => ({
    v: 1,
    attempt: null,
    timers: { [id]: timer },
    cause: { kind: 'timer', timer: id },
  });

  it.each([
    ['xstate.after.question.ApiFailed', 'question-limit'],
    ['xstate.after.poll.migration.Rechecking.watching', 'recheck'],
    ['xstate.after.deadline.migration.Completed.reexamining', 'deadline'],
    ['xstate.after.retry.migration.RolledBack.contested', 'command-retry'],
  ])('renames the timer %s to %s', (id, kind) => {
    expect(upcastEntry(ofVersion1(id))).toEqual({
      v: ENTRY_VERSION,
      attempt: null,
      timers: { [kind]: timer },
      cause: { kind: 'timer', timer: kind },
    });
  });

  it('does not change the cause of an input', () => {
    const cause = { kind: 'input', id: 'e1' };
    expect(upcastEntry({ v: 1, attempt: null, timers: {}, cause })).toEqual({
      v: ENTRY_VERSION,
      attempt: null,
      timers: {},
      cause,
    });
  });

  it.each(['xstate.after.nap.migration.Migrating', 'poll', ''])('rejects the unknown timer %j', (id) => {
    expect(() => upcastEntry(ofVersion1(id))).toThrow(expect.objectContaining({ code: 'ENTRY_TIMER_UNKNOWN' }));
  });

  it.each([0, ENTRY_VERSION + 1, '1', null, undefined])('rejects version %j', (v) => {
    expect(() => upcastEntry({ v, timers: {}, cause: {} })).toThrow(expect.objectContaining({ code: 'ENTRY_NEWER' }));
  });
});
