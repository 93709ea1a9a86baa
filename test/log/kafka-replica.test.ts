import { describe, expect, it } from 'vitest';
import { link, type Link } from '../../log/chain.ts';
import { textOf } from '../../log/entry-text.ts';
import { Replica, type OffsetLink } from '../../log/kafka/replica.ts';
import { EMPTY } from '../../log/sqlite/rows.ts';
import { entriesOf, entryOfInput } from '../support/entries.ts';
import { Scratch } from './sqlite-harness.ts';

/** The tests pass read and committed records to a replica directly, without a topic. */

const SABOTEUR = new URL('./saboteur.ts', import.meta.url).href;

const entries = entriesOf('a', 6);

/** Returns the entries as a chain: sequence 1 has offset 1, and a transaction marker follows each entry. */
function chain(): OffsetLink[] {
  let { hash } = EMPTY;
  return entries.map((entry, index) => {
    const [previous, text] = [hash, textOf(entry)];
    hash = link(previous, text);
    return { partition: 0, sequence: index + 1, previous, hash, text, offset: 2 * index + 1 };
  });
}

const links = chain();
const taken = (first: number, last: number, input: number) => ({
  links: links.slice(first - 1, last),
  inputPositions: [{ stream: 'in/0', offset: input }],
  checkpoints: [],
  offset: 2 * last - 1,
});

/** Returns a valid link with the sequence of another link. */
function forgedFrom(original: Link | undefined): Link {
  const text = textOf(entryOfInput('forged'));
  const previous = original?.previous ?? EMPTY.hash;
  return { partition: 0, sequence: original?.sequence ?? 1, previous, hash: link(previous, text), text };
}

async function openReplica(scratch: Scratch, projections: readonly string[] = []): Promise<Replica> {
  return Replica.open({ file: scratch.file, partition: 0, projections, machineVersion: 'test' }, () => {});
}

describe('Replica', () => {
  it('does not lower its positions when old records are read again', async () => {
    using scratch = new Scratch();
    const replica = await openReplica(scratch);
    await replica.take(taken(1, 2, 50));
    await replica.take(taken(3, 5, 100));
    await replica.take(taken(1, 2, 50));
    expect([replica.head.sequence, replica.offset, replica.inputPositions.get('in/0')]).toEqual([5, 9, 100]);
    await replica.close();
    const again = await openReplica(scratch);
    expect([again.head.sequence, again.offset, again.inputPositions.get('in/0')]).toEqual([5, 9, 100]);
    await again.close();
  });

  it('compares the known records of a batch and appends the new ones', async () => {
    using scratch = new Scratch();
    const replica = await openReplica(scratch);
    await Promise.all([replica.take(taken(1, 3, 3)), replica.take(taken(2, 5, 5))]);
    expect([replica.readableSequence, replica.fault]).toEqual([5, null]);
    await replica.close();
  });

  it.each([
    ['a record that is in the topic twice', links.slice(2, 3), 20],
    ['a forged record behind the end', [forgedFrom(links[2])], 20],
    ['a different record at a known offset', [forgedFrom(links[2])], 5],
    ['an unknown entry at an old offset', links.slice(5, 6), 5],
  ])('refuses %s', async (_what, records, offset) => {
    using scratch = new Scratch();
    const replica = await openReplica(scratch);
    await replica.take(taken(1, 5, 5));
    const again = replica.take({
      links: records.map((each) => ({ ...each, offset })),
      inputPositions: [],
      checkpoints: [],
      offset,
    });
    await expect(again).rejects.toMatchObject({ code: 'LEDGER_ALTERED' });
    expect(replica.fault?.code).toBe('LEDGER_ALTERED');
    expect(await replica.recover()).toBe(false);
    await replica.close();
  });

  it('refuses commits with an unknown offset until it read the topic', async () => {
    using scratch = new Scratch();
    const replica = await openReplica(scratch);
    const committed = (first: number, last: number, offset: number | null) =>
      replica.append({
        links: links.slice(first - 1, last),
        entries: entries.slice(first - 1, last),
        inputPositions: [],
        checkpoints: [],
        offset,
      });
    await committed(1, 2, 3);
    await expect(committed(3, 4, null)).rejects.toMatchObject({ code: 'LEDGER_OUTCOME_UNKNOWN' });
    const onward = replica.append({
      links: [],
      entries: [],
      inputPositions: [{ stream: 'in/0', offset: 9 }],
      checkpoints: [],
      offset: 9,
    });
    await expect(onward).rejects.toMatchObject({ code: 'LEDGER_OUTCOME_UNKNOWN' });
    await expect(committed(5, 6, 11)).rejects.toMatchObject({ code: 'LEDGER_OUTCOME_UNKNOWN' });
    expect([replica.head.sequence, replica.offset, replica.fault]).toEqual([2, 3, null]);
    await replica.take(taken(2, 6, 6));
    expect(replica.readableSequence).toBe(6);
    await replica.close();
  });

  it('recovers from an error of its file and continues after that', async () => {
    using scratch = new Scratch();
    const replica = await openReplica(scratch, [SABOTEUR]);
    await replica.take(taken(1, 2, 2));
    scratch.sabotage('lost');
    await expect(replica.take(taken(3, 4, 4))).rejects.toMatchObject({ code: expect.stringMatching(/^LEDGER_/) });
    await expect(replica.take(taken(3, 4, 4))).rejects.toBe(replica.fault);
    expect(await replica.recover()).toBe(true);
    expect([replica.head.sequence, replica.offset, replica.inputPositions.get('in/0'), replica.fault]).toEqual([
      2,
      3,
      2,
      null,
    ]);
    await replica.take(taken(2, 6, 6));
    expect([replica.readableSequence, (await replica.ledger.verify()).hash]).toEqual([6, links[5]?.hash]);
    await replica.close();
  });
});
