import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { commandJson, commandLine } from '../support/command-line.ts';
import { ROOT, recording, scratchFolder } from '../support/landfall.ts';

/** Plays every shipped recording through the command line and compares the verdicts with recordings/expected.json. */

type Expected = {
  host: string;
  owner: string | null;
  power: string[];
  attempts: { state: string; contested?: boolean; row?: string[] }[];
};
type Status = {
  host: string;
  power: string;
  certainty: string;
  locks: { owner: string | null; agrees: boolean }[];
  migration: string | null;
};
type Migration = { state: string; contested: boolean; settled: boolean; verdict: { row: string } | null };

const expected = JSON.parse(readFileSync(join(ROOT, 'recordings/expected.json'), 'utf8')) as Record<string, Expected>;

describe('landfall ingest of a shipped recording', () => {
  it.each(Object.entries(expected))('gives the verdict that matches the real end of %s', async (name, want) => {
    const db = join(scratchFolder(), 'ledger.db');
    const ran = await commandLine(['ingest', recording(name), '--db', db]);
    expect(ran.err).not.toContain('error');
    expect(ran.code).toBe(0);
    for (const status of await commandJson<Status[]>(['status', '--db', db])) {
      expect(status.host).toBe(want.host);
      expect(want.power).toContain(status.power);
      expect(status.locks.map(({ owner }) => owner)).toEqual([want.owner]);
    }
    const migrations = await commandJson<Migration[]>(['migrations', '--db', db]);
    expect(migrations.map(({ state, contested }) => ({ state, contested }))).toEqual(
      want.attempts.map(({ state, contested }) => ({ state, contested: contested ?? false })),
    );
    const asExpected = want.attempts.map(
      ({ row }, index) => row === undefined || row.includes(migrations[index]?.verdict?.row ?? ''),
    );
    expect(asExpected).not.toContain(false);
    expect((await commandLine(['audit', '--db', db])).code).toBe(0);
  });
});
