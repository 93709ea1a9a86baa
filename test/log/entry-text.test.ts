import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Entry } from '../../events/entries.ts';
import { entryOf, migrationOf, type PeekedEntry, peekEntry, textOf } from '../../log/entry-text.ts';
import { entryOfMalformed, entryOfTimer } from '../support/entries.ts';
import { longStory } from '../support/projection-story.ts';

/** Returns the peeked fields, computed by parsing the text. */
function parsed(text: string): PeekedEntry {
  const entry = entryOf(text);
  const { time, clock, vm, record } = entry;
  return { time, clock, vm: vm ?? '', migration: migrationOf(entry) ?? '', hasRecord: record !== null };
}

/** Requires that a peeked entry assigns the same rows as the parsed entry. */
function expectTrue(text: string): boolean {
  const peeked = peekEntry(text);
  if (peeked === null) return false;
  const { attempt, record, host, configuration, refusal } = entryOf(text);
  expect(peeked).toEqual(parsed(text));
  expect([attempt === null, host, configuration, refusal]).toEqual([false, null, null, null]);
  expect(record?.vm ?? peeked.vm).toBe(peeked.vm);
  return true;
}

describe('peekEntry', () => {
  it('returns the same fields as a full parse for most entries', async () => {
    const { ledger } = await longStory();
    const told = ledger.stored.filter(({ text }) => expectTrue(text));
    expect(told.length).toBeGreaterThan(ledger.entries.filter(({ attempt }) => attempt !== null).length * 0.9);
  });

  it('returns null for entries that change more than one attempt', async () => {
    const { ledger } = await longStory();
    const others = ledger.entries.filter(({ attempt, refusal }) => attempt === null || refusal !== null);
    for (const entry of [...others, entryOfTimer('m-1'), entryOfMalformed('x', '"attempt":{"migration":"m-1"')])
      expect(peekEntry(textOf(entry))).toBeNull();
  });

  it('returns the correct fields for names with special characters', async () => {
    const { ledger } = await longStory();
    const whole = ledger.entries.filter(({ attempt, record }) => attempt !== null && record !== null);
    const [start, end] = [
      ',"attempt":{"migration":"evil","record":null,',
      '"host":null,"configuration":null,"questions":[',
    ];
    const name = fc.oneof(fc.string(), fc.constantFrom(start, end, `\\",${end}`, 'record', '"', '\\', '{'));
    fc.assert(
      fc.property(fc.constantFrom(...whole), name, name, name, (entry, vm, migration, host) => {
        expectTrue(textOf(renamed(entry, vm, migration, host)));
      }),
    );
  });
});

function renamed(entry: Entry, vm: string, migration: string, host: string): Entry {
  const { attempt: state, record } = entry;
  if (state === null || record === null) return entry;
  const asked = { [host]: { asked: 1, dueAt: null, answer: null } };
  const attempt = { ...state.attempt, vm, migration, source: host, asked };
  return { ...entry, vm, attempt: { ...state, attempt }, record: { ...record, vm, host, holders: { [host]: [] } } };
}
