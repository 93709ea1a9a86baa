import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Fault } from '../../events/fault.ts';
import { verify } from '../../log/chain.ts';
import { textOf } from '../../log/entry-text.ts';
import { GENESIS, type Head, type Ledger, type Owner, type StoredEntry } from '../../log/port.ts';
import { entriesOf, entryOfInput, entryOfMalformed, entryOfTimer, VM, vmOf } from '../support/entries.ts';

/** An empty ledger of one adapter, and the operations that the suite needs from outside the port. */
export type LedgerHarness = {
  readonly partitions: number;
  /** Opens the ledger. The suite closes each opened ledger before the next call. */
  open(): Promise<Ledger>;
  /** Makes the next commit fail with LEDGER_OUTCOME_UNKNOWN, either applied or lost. Absent if the adapter cannot fail this way. */
  failNextCommit?(outcome: 'applied' | 'lost'): Promise<void>;
  cleanup(): Promise<void>;
};

/** Tests the promises of log/port.ts on one adapter. */
export function ledgerContract(name: string, factory: () => Promise<LedgerHarness>): void {
  describe(`ledger contract: ${name}`, () => {
    let harness: LedgerHarness;
    let ledger: Ledger;

    beforeEach(async () => {
      harness = await factory();
      ledger = await harness.open();
    });
    afterEach(async () => {
      await ledger.close();
      await harness.cleanup();
    });

    const reopen = async () => {
      await ledger.close();
      ledger = await harness.open();
    };

    describe('an empty ledger', () => {
      it('has the head GENESIS at 0 in each partition', async () => {
        expect(ledger.partitions).toBe(harness.partitions);
        for (let partition = 0; partition < harness.partitions; partition += 1) {
          expect(await ledger.head(partition)).toEqual({ sequence: 0, hash: GENESIS });
          expect(await all(ledger, partition)).toEqual([]);
        }
      });

      it('rejects an unknown partition number', async () => {
        await expect(ledger.claim(harness.partitions)).rejects.toThrow(Fault);
        await expect(ledger.head(harness.partitions)).rejects.toThrow(Fault);
      });

      it('starts an owner at GENESIS without positions', async () => {
        const owner = await ledger.claim(0);
        expect(owner.claimedHead).toEqual({ sequence: 0, hash: GENESIS });
        expect(owner.inputPositions).toEqual(new Map());
        expect(owner.recall([{ source: 'a', id: 'b' }])).toEqual([null]);
      });
    });

    describe('a commit (1, 2, 3)', () => {
      it('appends entries in order, numbered from 1 and chained from GENESIS', async () => {
        const owner = await ledger.claim(0);
        const entries = entriesOf('a', 3);
        const head = await owner.commit({ entries, inputPositions: [] });
        const stored = await all(ledger, 0);
        expect(stored.map(({ entry }) => entry)).toEqual(entries);
        expect(stored.map(({ text }) => text)).toEqual(entries.map(textOf));
        expect(stored.map(({ sequence }) => sequence)).toEqual([1, 2, 3]);
        expect(stored[0]?.previous).toBe(GENESIS);
        expect(await verified(ledger, 0)).toEqual(head);
        expect(await ledger.head(0)).toEqual(head);
      });

      it('keeps astral characters, NUL, lone surrogates and U+2028 unchanged', async () => {
        const owner = await ledger.claim(0);
        const entry = entryOfInput('odd', { content: '\u{1F6EC} \0 \ud800 \u2028 é' });
        await owner.commit({ entries: [entry, entryOfMalformed('m', '\u0000{"')], inputPositions: [] });
        expect((await all(ledger, 0))[0]?.entry).toEqual(JSON.parse(JSON.stringify(entry)));
        await verified(ledger, 0);
      });

      it('accepts an entry of one megabyte', async () => {
        const owner = await ledger.claim(0);
        await owner.commit({ entries: [entryOfInput('big', { content: 'x'.repeat(1_000_000) })], inputPositions: [] });
        await verified(ledger, 0);
      });

      it('continues the chain after the ledger is reopened', async () => {
        const first = await (await ledger.claim(0)).commit({ entries: entriesOf('a', 2), inputPositions: [] });
        await reopen();
        const owner = await ledger.claim(0);
        expect(owner.claimedHead).toEqual(first);
        const second = await owner.commit({ entries: entriesOf('b', 2), inputPositions: [] });
        expect(second.sequence).toBe(4);
        expect(await verified(ledger, 0)).toEqual(second);
        expect((await all(ledger, 0))[2]?.previous).toBe(first.hash);
      });

      it('applies concurrent commits in call order, each with its own head', async () => {
        const owner = await ledger.claim(0);
        const heads = await Promise.all(
          Array.from({ length: 40 }, (_, nth) =>
            owner.commit({ entries: entriesOf(`c${nth}`, nth % 3), inputPositions: [{ stream: 's', offset: nth }] }),
          ),
        );
        const sequences = heads.map(({ sequence }) => sequence);
        expect(sequences).toEqual(Array.from({ length: 40 }, (_, nth) => sum(nth)));
        const stored = await all(ledger, 0);
        for (const { sequence, hash } of heads.slice(1)) expect(stored[sequence - 1]?.hash).toBe(hash);
        expect((await ledger.claim(0)).inputPositions).toEqual(new Map([['s', 39]]));
      });

      it('accepts a commit without entries', async () => {
        const owner = await ledger.claim(0);
        const head = await owner.commit({ entries: entriesOf('a', 1), inputPositions: [] });
        expect(await owner.commit({ entries: [], inputPositions: [] })).toEqual(head);
      });
    });

    describe('input positions', () => {
      const positions = [
        { stream: 'inputs/0', offset: 41 },
        { stream: 'http', offset: 7 },
      ];

      it('pass to the next owner with the entries of their commit', async () => {
        await (await ledger.claim(0)).commit({ entries: entriesOf('a', 1), inputPositions: positions });
        await reopen();
        expect((await ledger.claim(0)).inputPositions).toEqual(
          new Map([
            ['inputs/0', 41],
            ['http', 7],
          ]),
        );
      });

      it('are stored without entries, as for duplicates', async () => {
        const owner = await ledger.claim(0);
        const head = await owner.commit({ entries: entriesOf('a', 1), inputPositions: positions });
        expect(await owner.commit({ entries: [], inputPositions: [{ stream: 'http', offset: 8 }] })).toEqual(head);
        await reopen();
        expect((await ledger.claim(0)).inputPositions.get('http')).toBe(8);
      });

      it('stay unchanged by a commit of timer entries', async () => {
        const owner = await ledger.claim(0);
        await owner.commit({ entries: entriesOf('a', 1), inputPositions: positions });
        await owner.commit({ entries: [entryOfTimer('m-1')], inputPositions: [] });
        const next = await ledger.claim(0);
        expect(next.claimedHead.sequence).toBe(2);
        expect(next.inputPositions.get('inputs/0')).toBe(41);
      });
    });

    describe('checkpoints', () => {
      it('are returned to the next owner with the highest value committed', async () => {
        const owner = await ledger.claim(0);
        await owner.commit({
          entries: entriesOf('a', 1),
          inputPositions: [],
          checkpoints: [{ key: 'sent', value: 1 }],
        });
        await owner.commit({ entries: [], inputPositions: [], checkpoints: [{ key: 'sent', value: 2 }] });
        await reopen();
        const next = await ledger.claim(0);
        expect([next.checkpoints, next.inputPositions]).toEqual([new Map([['sent', 2]]), new Map()]);
      });
    });

    describe('owners (4)', () => {
      it('fence the older owner and apply none of its later commits', async () => {
        const older = await ledger.claim(0);
        const head = await older.commit({ entries: entriesOf('a', 1), inputPositions: [] });
        const newer = await ledger.claim(0);
        expect(newer.claimedHead).toEqual(head);
        const late = older.commit({ entries: entriesOf('late', 1), inputPositions: [{ stream: 's', offset: 9 }] });
        await expect(late).rejects.toMatchObject({ code: 'LEDGER_FENCED' });
        await newer.commit({ entries: entriesOf('b', 1), inputPositions: [] });
        await expect(older.commit({ entries: [], inputPositions: [] })).rejects.toMatchObject({
          code: 'LEDGER_FENCED',
        });
        expect(idsOf(await all(ledger, 0))).toEqual(['a-1', 'b-1']);
        expect((await ledger.claim(0)).inputPositions).toEqual(new Map());
      });

      it('settle pending commits before the next claim succeeds', async () => {
        const older = await ledger.claim(0);
        const outcomes = Promise.allSettled(
          Array.from({ length: 10 }, (_, nth) =>
            older.commit({ entries: entriesOf(`o${nth}`, 1), inputPositions: [] }),
          ),
        );
        const newer = await ledger.claim(0);
        const applied = (await outcomes).filter(({ status }) => status === 'fulfilled');
        expect(newer.claimedHead.sequence).toBe(applied.length);
        expect(await ledger.head(0)).toEqual(newer.claimedHead);
      });

      it('release a partition after pending commits and then refuse commits', async () => {
        const owner = await ledger.claim(0);
        const last = owner.commit({ entries: entriesOf('a', 1), inputPositions: [] });
        await owner.release();
        expect((await last).sequence).toBe(1);
        await expect(owner.commit({ entries: entriesOf('b', 1), inputPositions: [] })).rejects.toThrow(Fault);
        expect((await ledger.claim(0)).claimedHead.sequence).toBe(1);
      });
    });

    describe('recall', () => {
      const digestOf = ({ cause }: { cause: { kind: string; digest?: string } }) => cause.digest ?? null;
      const entry = entryOfInput('once', { content: 'as it was first' });

      it('returns digests of consumed inputs in the requested order', async () => {
        const owner = await ledger.claim(0);
        const bad = entryOfMalformed('torn', '{');
        await owner.commit({ entries: [entry, entryOfTimer('m'), bad], inputPositions: [] });
        const asked = [{ source: 'queue', id: 'torn' }, { source: 'agent://one', id: 'new' }, identity('once')];
        expect(owner.recall(asked)).toEqual([digestOf(bad), null, digestOf(entry)]);
        expect(owner.recall([])).toEqual([]);
      });

      it('works after the ledger is reopened', async () => {
        await (await ledger.claim(0)).commit({ entries: [entry], inputPositions: [] });
        await reopen();
        expect((await ledger.claim(0)).recall([identity('once')])).toEqual([digestOf(entry)]);
      });

      it('keeps the first digest of an identity with conflicting contents', async () => {
        const owner = await ledger.claim(0);
        const other = entryOfInput('once', { content: 'something else' });
        await owner.commit({ entries: [entry], inputPositions: [] });
        await owner.commit({ entries: [other], inputPositions: [] });
        expect(owner.recall([identity('once')])).toEqual([digestOf(entry)]);
        await reopen();
        expect((await ledger.claim(0)).recall([identity('once')])).toEqual([digestOf(entry)]);
      });

      it('distinguishes identities with the same concatenation of source and id', async () => {
        const owner = await ledger.claim(0);
        await owner.commit({ entries: [entryOfInput('bc', { source: 'a' })], inputPositions: [] });
        expect(owner.recall([{ source: 'ab', id: 'c' }])).toEqual([null]);
      });

      it('returns the inputs consumed by the previous owner', async () => {
        const older = await ledger.claim(0);
        await older.commit({ entries: entriesOf('a', 500), inputPositions: [] });
        const newer = await ledger.claim(0);
        const asked = entriesOf('a', 500).map((_, index) => identity(`a-${index + 1}`));
        expect(newer.recall(asked)).toEqual(entriesOf('a', 500).map(digestOf));
      });
    });

    describe('readers (6)', () => {
      it('start at the requested sequence', async () => {
        const owner = await ledger.claim(0);
        await owner.commit({ entries: entriesOf('a', 5), inputPositions: [] });
        expect(idsOf(await all(ledger, 0, 4))).toEqual(['a-4', 'a-5']);
        expect(await all(ledger, 0, 6)).toEqual([]);
      });

      it('end at the head of the time they started', async () => {
        const owner = await ledger.claim(0);
        await owner.commit({ entries: entriesOf('a', 450), inputPositions: [] });
        const seen: StoredEntry[] = [];
        for await (const stored of ledger.read(0, 1)) {
          if (seen.length === 10) await owner.commit({ entries: entriesOf('b', 5), inputPositions: [] });
          seen.push(stored);
        }
        expect(seen).toHaveLength(450);
        expect(await all(ledger, 0)).toHaveLength(455);
      });

      it('see only complete commits during a commit', async () => {
        const owner = await ledger.claim(0);
        const counts: number[] = [];
        const writing = Promise.all(
          Array.from({ length: 20 }, (_, nth) =>
            owner.commit({ entries: entriesOf(`w${nth}`, 50), inputPositions: [] }),
          ),
        );
        for (let round = 0; round < 20; round += 1) counts.push((await ledger.head(0)).sequence);
        await writing;
        expect(counts.filter((count) => count % 50 !== 0)).toEqual([]);
      });
    });

    describe('an unknown outcome (5)', () => {
      it.for(['applied', 'lost'] as const)('is resolved from the tail of the ledger: %s', async (outcome, context) => {
        if (harness.failNextCommit === undefined) return context.skip();
        const owner = await ledger.claim(0);
        const before = await owner.commit({ entries: entriesOf('a', 2), inputPositions: [{ stream: 's', offset: 1 }] });
        await harness.failNextCommit(outcome);
        const doubtful = owner.commit({ entries: entriesOf('b', 2), inputPositions: [{ stream: 's', offset: 2 }] });
        await expect(doubtful).rejects.toMatchObject({ code: 'LEDGER_OUTCOME_UNKNOWN' });
        await expectDead(owner);
        const next = await ledger.claim(0);
        const isApplied = outcome === 'applied';
        expect(next.claimedHead.sequence).toBe(isApplied ? 4 : before.sequence);
        expect(next.inputPositions.get('s')).toBe(isApplied ? 2 : 1);
        expect(next.recall([identity('b-1')])[0] !== null).toBe(isApplied);
        const head = await next.commit({ entries: entriesOf('c', 1), inputPositions: [] });
        expect(await verified(ledger, 0)).toEqual(head);
      });

      it('rejects the commits queued behind it', async (context) => {
        if (harness.failNextCommit === undefined) return context.skip();
        const owner = await ledger.claim(0);
        await harness.failNextCommit('lost');
        const commits = Array.from({ length: 5 }, (_, nth) =>
          owner.commit({ entries: entriesOf(`q${nth}`, 1), inputPositions: [] }),
        );
        const settled = await Promise.allSettled(commits);
        expect(settled.map(({ status }) => status)).toEqual(Array.from({ length: 5 }, () => 'rejected'));
        expect((await ledger.claim(0)).claimedHead).toEqual({ sequence: 0, hash: GENESIS });
      });
    });

    describe('partitions', () => {
      it('have separate sequences, chains and owners', async () => {
        const heads: Head[] = [];
        for (let partition = 0; partition < harness.partitions; partition += 1) {
          const owner = await ledger.claim(partition);
          expect(owner.partition).toBe(partition);
          heads.push(await owner.commit({ entries: entriesOf(`p${partition}`, partition + 2), inputPositions: [] }));
        }
        for (const [partition, head] of heads.entries()) {
          expect(head.sequence).toBe(partition + 2);
          expect(await verified(ledger, partition)).toEqual(head);
          const stored = await all(ledger, partition);
          expect(stored.every((each) => each.partition === partition)).toBe(true);
          expect(idsOf(stored)[0]).toBe(`p${partition}-1`);
        }
      });

      it('keep the order of entries of one VM', async () => {
        const owner = await ledger.claim(0);
        const ids = Array.from({ length: 30 }, (_, nth) => `v${nth}`);
        await Promise.all(
          ids.map((id, nth) =>
            owner.commit({
              entries: [entryOfInput(id), entryOfInput(`x${id}`, { vm: vmOf(nth + 2) })],
              inputPositions: [],
            }),
          ),
        );
        const stored = await all(ledger, 0);
        expect(idsOf(stored.filter(({ entry }) => entry.vm === VM))).toEqual(ids);
      });
    });
  });
}

async function all(ledger: Ledger, partition: number, from = 1): Promise<StoredEntry[]> {
  return Array.fromAsync(ledger.read(partition, from));
}

function verified(ledger: Ledger, partition: number): Promise<Head> {
  return verify(ledger.read(partition, 1), { sequence: 0, hash: GENESIS });
}

async function expectDead(owner: Owner): Promise<void> {
  await expect(owner.commit({ entries: entriesOf('dead', 1), inputPositions: [] })).rejects.toThrow(Fault);
}

function idsOf(stored: readonly StoredEntry[]): string[] {
  return stored.map(({ entry }) => (entry.cause.kind === 'timer' ? entry.cause.timer : entry.cause.id));
}

function identity(id: string) {
  return { source: 'agent://one', id };
}

/** Returns the last sequence after n + 1 commits of 0, 1, 2, 0, 1, 2, … entries. */
function sum(n: number): number {
  return Array.from({ length: n + 1 }, (_, nth) => nth % 3).reduce((a, b) => a + b, 0);
}
