import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it, test } from 'vitest';
import { withReadOnlyLedger } from '../../cli/ledger-file.ts';
import { Entry } from '../../events/entries.ts';
import { domainOfVirsh, jobOfVirsh } from '../../events/virsh.ts';
import { entryOf } from '../../log/entry-text.ts';
import { audit } from '../../projections/audit.ts';
import { landfall, ROOT, scratchFolder } from '../support/landfall.ts';

const REFUSED = 'error: Operation not supported: migration statistics are available only on the source host';

describe('jobOfVirsh', () => {
  test.each([
    ['none', 'none'],
    ['5', 'outgoing'],
    ['4', 'incoming'],
    [REFUSED, 'incoming'],
    ['error: Requested operation is not valid: domain is not running', 'none'],
    // Other operations of libvirt: start, save, restore, snapshot, snapshot revert, dump, backup, snapshot delete.
    ['1', 'other'],
    ['8', 'other'],
    ['10', 'other'],
    ['', 'unknown'],
    ['None', 'unknown'],
    ['error: Timed out during operation: cannot acquire state change lock', 'unknown'],
    ['outgoing', 'unknown'],
    ['55x', 'unknown'],
    ['-5', 'unknown'],
  ] as const)('converts the output %j to the job %s', (text, job) => {
    expect(jobOfVirsh(text)).toBe(job);
  });
});

describe('domainOfVirsh', () => {
  const raw = (state: string, reason: string) => ({ name: 'web-1', state, reason, job: '5' });

  test.each([
    ['paused', 'API error', 'api error'],
    ['paused', 'save', 'saving'],
    ['paused', 'snapshot', 'creating snapshot'],
    ['running', '', 'unknown'],
    ['shut off', 'migrated', 'migrated'],
  ])('converts the words %s (%s) to the reason %s', (state, given, reason) => {
    expect(domainOfVirsh(raw(state, given))).toEqual({ domain: { name: 'web-1', state, reason, job: 'outgoing' } });
  });

  test.each([
    ['paused', ''],
    ['paused', 'constructor'],
    ['running', 'by magic'],
    ['en pause', 'migration'],
    ['__proto__', 'unknown'],
    ['', ''],
  ])('returns "%s (%s)" as unknown words', (state, reason) => {
    expect(domainOfVirsh(raw(state, reason))).toEqual({ unknownWords: `${state} (${reason})` });
  });
});

describe('a ledger of entry version 2', () => {
  function ledgerOfVersion2(): string {
    const file = join(scratchFolder(), 'ledger.db');
    writeFileSync(file, gunzipSync(readFileSync(join(ROOT, 'test/fixtures/ledger-v2.db.gz'))));
    return file;
  }

  function entriesIn(file: string): Entry[] {
    const db = new DatabaseSync(file, { readOnly: true });
    const texts = db.prepare('SELECT body FROM entries ORDER BY sequence').all();
    db.close();
    return texts.map(({ body }) => entryOf(String(body)));
  }

  it('is read as entries that match the current schema', () => {
    for (const entry of entriesIn(ledgerOfVersion2())) expect(Entry.safeParse(entry).error).toBeUndefined();
  });

  it('is read with its answers in the words of the vocabulary', () => {
    const state = entriesIn(ledgerOfVersion2()).at(-3)?.attempt?.attempt;
    expect(state?.asked['host-a']?.answer).toMatchObject({
      ok: true,
      domain: { state: 'paused', reason: 'api error', job: 'other' },
    });
    expect(state?.asked['host-b']?.answer).toMatchObject({
      ok: false,
      domain: null,
      unknownWords: 'frozen (by magic)',
    });
  });

  it('passes the audit', async () => {
    const result = await withReadOnlyLedger(ledgerOfVersion2(), ({ ledger, db }) =>
      audit(ledger, 0, { projections: db }),
    );
    expect(result).toMatchObject({ entries: 52, findings: [], verdicts: { checked: 2, differing: 0 } });
  });

  it('has the same digests as a newly imported recording', async () => {
    const fresh = join(scratchFolder(), 'fresh.db');
    const recording = join(ROOT, 'recordings/client_timeout_completes.ndjson');
    await landfall(['ingest', recording, '--db', fresh]);
    // One input may write several entries, and their number may differ between versions.
    const digests = (entries: Entry[]) => [
      ...new Set(
        entries.flatMap(({ clock, cause }) =>
          clock.startsWith('recorded:client_timeout') && cause.kind === 'input' ? [`${cause.id} ${cause.digest}`] : [],
        ),
      ),
    ];
    expect(digests(entriesIn(fresh)).length).toBeGreaterThan(10);
    expect(digests(entriesIn(fresh))).toEqual(digests(entriesIn(ledgerOfVersion2())));
  });
});
