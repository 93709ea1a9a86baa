import { describe, expect, it } from 'vitest';
import { type Damage, everyDamage, outcomesOf, PAGE_BLOCKS, requireNoticed, smallLedger } from './damage.ts';

/** Damages that the fast suite tries beside the zeroed pages; damage.long.test.ts tries all of them. */
const SAMPLE = 8;
/** Every table and index that the ledger has; a new one must be added here. */
const KINDS = [
  'attempts',
  'attempts_by_migration',
  'attempts_by_vm',
  'attempts_unsettled',
  'checkpoints',
  'configurations',
  'dead_letters',
  'dead_letters_by_input',
  'entries',
  'entries_by_migration',
  'entries_by_vm',
  'hosts',
  'identities',
  'input_positions',
  'meta',
  'progress',
  'projection',
  'snapshots',
  'sqlite_autoindex_configurations_1',
  'sqlite_autoindex_dead_letters_1',
  'sqlite_autoindex_hosts_1',
  'sqlite_autoindex_progress_1',
  'sqlite_autoindex_vms_1',
  'sqlite_schema',
  'vms',
  'vms_by_name',
];

describe('a damaged ledger file', () => {
  it('is reported by name for a zeroed page of each kind', { timeout: 120_000 }, async () => {
    const { file, pages } = await smallLedger();
    const kinds = Map.groupBy(pages, ({ name, type }) => `${name} ${type}`);
    const zeroed = [...kinds.values()].flatMap(([first]) =>
      first === undefined ? [] : { ...first, kind: 'zeroed page' as const },
    );
    expect([...new Set(zeroed.map(({ name }) => name))].sort()).toEqual(KINDS);
    for await (const [damage, { audit, rebuild }] of outcomesOf(file, zeroed)) {
      // Page 1 contains the header of the file and the definitions of all tables.
      const named = damage.page === 0 ? /first page/ : new RegExp(`page ${damage.page + 1}\\b[^]*\\b${damage.name}\\b`);
      expect({ damage, audit, rebuild }).toEqual({
        damage,
        audit: { ...audit, code: 1, out: expect.stringMatching(named) },
        rebuild: { ...rebuild, code: 1, err: expect.stringMatching(named) },
      });
    }
  });

  it('is recognised without a hang, for damage in sampled pages', async () => {
    const { file, bytes, pages } = await smallLedger();
    const entryPages = pages.filter(({ name, type }) => name === 'entries' && type === 'leaf');
    // The audit did not end when a zeroed block behind the header of a page left rows with sequence 0.
    const zeroed = entryPages.slice(-2).map(({ page }): Damage => ({ kind: 'zeroed', block: page * PAGE_BLOCKS + 2 }));
    expect(zeroed).toHaveLength(2);
    const all = everyDamage(bytes);
    const step = Math.floor(all.length / SAMPLE);
    await requireNoticed(file, [...zeroed, ...all.filter((_, index) => index % step === 0)]);
  });
});
