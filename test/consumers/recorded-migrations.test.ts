import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Driver } from '../../engine/driver.ts';
import { fileSource, Ingest } from '../../consumers/ingest.ts';
import { toMigration } from '../../projections/attempts.ts';
import { locksOf } from '../../projections/locks.ts';
import { MemoryLedger } from '../support/memory-ledger.ts';

/**
 * Recordings of real migrations with real faults, in addition to the shipped ones. Each is played in memory, and its
 * result must agree with the recording's own truth line (expected.json).
 */
const FOLDER = join(import.meta.dirname, '../recordings');

type Attempt = { state: string; contested?: boolean; row?: string[] };
type Expected = { host: string; owner: string | null; power: string[]; attempts: Attempt[] };

const expected = JSON.parse(readFileSync(join(FOLDER, 'expected.json'), 'utf8')) as Record<string, Expected>;

async function play(name: string, ledger = new MemoryLedger()): Promise<MemoryLedger> {
  const driver = new Driver(await ledger.claim(), ledger);
  const ingest = new Ingest(driver, {
    skipBad: false,
    apart: false,
    now: () => 0,
    unanswered: () => Promise.resolve([]),
  });
  await ingest.run(fileSource(join(FOLDER, `${name}.ndjson`)));
  return ledger;
}

describe('a recorded migration', () => {
  it.each(Object.entries(expected))('gets the verdict that matches its real end: %s', async (name, want) => {
    const ledger = await play(name);
    const vms = new Set(ledger.entries.flatMap(({ record }) => record?.vm ?? []));
    for (const vm of vms) {
      const record = ledger.record(vm);
      expect(record?.host).toBe(want.host);
      expect(want.power).toContain(record?.power);
      expect(record === null ? [] : locksOf(record).map(({ owner }) => owner)).toEqual([want.owner]);
    }
    const ids = [...new Set(ledger.entries.flatMap(({ attempt }) => attempt?.attempt.migration ?? []))];
    const attempts = ids.flatMap((id) => ledger.attempt(id)?.state ?? []).map(toMigration);
    expect(attempts.map(({ state, contested }) => ({ state, contested }))).toEqual(
      want.attempts.map(({ state, contested }) => ({ state, contested: contested ?? false })),
    );
    expect(
      attempts.map(({ verdict }, index) => want.attempts[index]?.row?.includes(verdict?.row ?? '') ?? true),
    ).not.toContain(false);
  });
});

describe('a second import of a recording', () => {
  it.each(Object.keys(expected))('adds no entry to the ledger: %s', async (name) => {
    const ledger = await play(name);
    const head = await ledger.head();
    await play(name, ledger);
    expect(await ledger.head()).toEqual(head);
  });
});
