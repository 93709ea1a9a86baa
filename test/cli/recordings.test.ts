import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { landfall, landfallJson, ROOT, recording, scratchFolder } from '../support/landfall.ts';

/** Every shipped recording of a real migration, end to end through the command line, against what is expected of it. */

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

describe.concurrent('a shipped recording is judged as it really ended', () => {
  it.for(Object.entries(expected))('%s', async ([name, want], { onTestFinished }) => {
    const db = join(scratchFolder(onTestFinished), 'ledger.db');
    const ran = await landfall(['ingest', recording(name), '--db', db]);
    expect(ran.stderr).not.toContain('error');
    expect(ran.code).toBe(0);
    for (const status of await landfallJson<Status[]>(['status', '--db', db])) {
      expect(status.host).toBe(want.host);
      expect(want.power).toContain(status.power);
      expect(status.locks.map(({ owner }) => owner)).toEqual([want.owner]);
    }
    const migrations = await landfallJson<Migration[]>(['migrations', '--db', db]);
    expect(migrations.map(({ state, contested }) => ({ state, contested }))).toEqual(
      want.attempts.map(({ state, contested }) => ({ state, contested: contested ?? false })),
    );
    const asExpected = want.attempts.map(
      ({ row }, index) => row === undefined || row.includes(migrations[index]?.verdict?.row ?? ''),
    );
    expect(asExpected).not.toContain(false);
    expect((await landfall(['audit', '--db', db])).code).toBe(0);
  });
});
