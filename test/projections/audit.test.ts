import type { DatabaseSync } from 'node:sqlite';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Entry } from '../../events/entries.ts';
import { link } from '../../log/chain.ts';
import { audit, type Audit } from '../../projections/audit.ts';
import { parseHead } from '../../projections/audit-checks.ts';
import { asOf } from '../../projections/as-of.ts';
import type { MemoryLedger } from '../support/memory-ledger.ts';
import { alter, longStory } from '../support/projection-story.ts';

let ledger: MemoryLedger;
let projections: DatabaseSync;
beforeEach(async () => {
  ({ ledger } = await longStory());
  projections = await asOf(ledger, 0, Number.POSITIVE_INFINITY);
});

const kindsOf = ({ findings }: Audit) => [...new Set(findings.map(({ kind }) => kind))];
const indexOfVerdict = () => ledger.stored.findIndex(({ entry }) => entry.verdict !== null);
const lastHead = async () => ledger.head();

/** Changes an entry and recomputes the hashes of all later entries, as a forger would. */
function forge(index: number, change: (entry: Entry) => Entry): void {
  alter(ledger, index, change);
  ledger.stored.forEach((stored, at) => {
    if (at < index) return;
    const previous = ledger.stored[at - 1]?.hash ?? stored.previous;
    ledger.stored[at] = { ...stored, previous, hash: link(previous, stored.text) };
  });
}

function withVerdict(entry: Entry, change: object): Entry {
  if (entry.attempt === null) return entry;
  const { attempt } = entry.attempt;
  const verdicts = attempt.verdicts.map((verdict) => ({ ...verdict, ...change }));
  return { ...entry, attempt: { ...entry.attempt, attempt: { ...attempt, verdicts } } };
}

describe('an audit', () => {
  it('finds nothing in an intact ledger and prints its head', async () => {
    const head = await lastHead();
    const found = await audit(ledger, 0, { head, projections });
    expect(found).toEqual({
      entries: ledger.stored.length,
      head: { position: `0:${head.sequence}`, hash: head.hash },
      findings: [],
      verdicts: { checked: 2, differing: 0, otherTable: 0, byOperator: 0 },
    });
    expect(projections.isTransaction).toBe(false);
  });

  it('reports an altered entry once', async () => {
    alter(ledger, 9, (entry) => ({ ...entry, time: entry.time + 1 }));
    const { findings } = await audit(ledger, 0);
    expect(findings).toEqual([
      { position: '0:10', kind: 'altered', message: 'its text and its hash do not belong together' },
    ]);
  });

  it('reports dropped and moved entries', async () => {
    const [taken] = ledger.stored.splice(20, 1);
    expect((await audit(ledger, 0)).findings).toMatchObject([
      { kind: 'missing', message: 'entries 21 to 21 are missing' },
    ]);
    if (taken !== undefined) ledger.stored.splice(30, 0, taken);
    expect(kindsOf(await audit(ledger, 0))).toContain('reordered');
  });

  it('finds a cut tail by a stored head and by the projections', async () => {
    const head = await lastHead();
    ledger.stored.splice(-3);
    expect((await audit(ledger, 0)).findings).toEqual([]);
    expect(kindsOf(await audit(ledger, 0, { head }))).toEqual(['cut']);
    expect(kindsOf(await audit(ledger, 0, { projections }))).toContain('cut');
  });

  it('finds a rewritten ledger by a stored head', async () => {
    const head = await lastHead();
    forge(3, (entry) => ({ ...entry, cause: { ...entry.cause, trace: 'forged' } as Entry['cause'] }));
    expect((await audit(ledger, 0)).findings).toEqual([]);
    expect(kindsOf(await audit(ledger, 0, { head }))).toEqual(['fork']);
  });

  it('reports a time that decreases', async () => {
    forge(10, (entry) => ({ ...entry, time: entry.time - 5000 }));
    expect(kindsOf(await audit(ledger, 0))).toEqual(['time']);
  });

  it('reports an input that was consumed twice', async () => {
    const cause = ledger.entries[5]?.cause;
    forge(40, (entry) => ({ ...entry, cause: cause ?? entry.cause }));
    expect((await audit(ledger, 0)).findings).toMatchObject([{ position: '0:41', kind: 'identity' }]);
  });

  it('accepts several parts of one input', async () => {
    const cause = ledger.entries[39]?.cause;
    forge(40, (entry) => ({ ...entry, cause: { ...(cause ?? entry.cause), part: 1 } as Entry['cause'] }));
    expect((await audit(ledger, 0)).findings).toEqual([]);
  });

  it('reports a fencing token that does not rise', async () => {
    const [first, second] = [indexOfVerdict(), ledger.stored.findLastIndex(({ entry }) => entry.verdict !== null)];
    const { vm } = ledger.entries[first] ?? { vm: null };
    forge(second, (entry) => ({ ...entry, vm }));
    expect((await audit(ledger, 0)).findings).toMatchObject([{ position: `0:${second + 1}`, kind: 'token' }]);
  });

  it('decides each verdict again, also of other table versions', async () => {
    forge(indexOfVerdict(), (entry) => withVerdict(entry, { row: 'stayed', table: 99 }));
    const found = await audit(ledger, 0);
    expect(found.verdicts).toMatchObject({ checked: 2, differing: 1, otherTable: 1 });
    expect(found.findings).toMatchObject([{ kind: 'verdict', message: expect.stringContaining('table 99') }]);
  });

  it('accepts an operator verdict but reports a missing verdict', async () => {
    forge(indexOfVerdict(), (entry) => withVerdict(entry, { row: 'operator', outcome: 'rolled-back' }));
    expect(await audit(ledger, 0)).toMatchObject({ findings: [], verdicts: { checked: 1, byOperator: 1 } });
    forge(indexOfVerdict(), (entry) => ({ ...entry, verdict: 9 }));
    expect(kindsOf(await audit(ledger, 0))).toEqual(['verdict']);
  });

  it('reports projections that differ from a fold', async () => {
    projections.exec(`UPDATE vms SET host = 'h9' WHERE name = 'web'`);
    const { findings } = await audit(ledger, 0, { projections });
    expect(findings).toMatchObject([
      { kind: 'projection', message: expect.stringContaining('differs in host from a rebuild') },
    ]);
  });

  it('reports projections that lag or have another version', async () => {
    const { ledger: longer } = await longStory();
    ledger.stored.push(
      ...longer.stored.slice(ledger.stored.length - 1).map((last) => ({ ...last, sequence: last.sequence + 1 })),
    );
    expect(
      (await audit(ledger, 0, { projections })).findings.filter(({ kind }) => kind === 'projection'),
    ).toMatchObject([{ message: expect.stringContaining('the projections end here') }]);
    projections.exec('UPDATE projection SET version = 0');
    expect((await audit(ledger, 0, { projections })).findings.at(-1)?.message).toContain('landfall rebuild');
  });

  it('lists the first findings of a kind and counts the rest', async () => {
    for (let index = 0; index < 50; index += 1) alter(ledger, index, (entry) => ({ ...entry, time: entry.time + 1 }));
    const { findings } = await audit(ledger, 0);
    expect(findings).toHaveLength(21);
    expect(findings.at(-1)?.message).toBe('and 30 more of this kind');
  });
});

describe('parseHead', () => {
  it('parses a head as an audit prints it', () => {
    const hash = 'a'.repeat(64);
    expect(parseHead(`12:${hash}`)).toEqual({ sequence: 12, hash });
    expect(parseHead(`0:12:${hash.toUpperCase()}`)).toEqual({ sequence: 12, hash });
  });

  it.each(['', '12', `x:${'a'.repeat(64)}`, '12:abc'])('refuses %j', (text) => {
    expect(() => parseHead(text)).toThrow('is no head');
  });
});
