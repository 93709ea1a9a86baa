import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type AuditView, commandJson, commandLine, type DeadLetterView } from '../support/command-line.ts';
import { cloudEvent, ndjson, VM, writeEvents } from '../support/events.ts';
import { scratchFolder } from '../support/landfall.ts';

/** Bad input must give an error with file, line and field, and lose no earlier input. */

const good = (id: string) => cloudEvent('host.facts', { host: 'host-a' }, { id, subject: null });
const declared = (data: object) => cloudEvent('vm.declared', { name: 'db', host: 'host-a', ...data }, { id: 'bad' });
const set = (change: object) =>
  cloudEvent('configuration.set', { change, operator: 'o' }, { id: 'bad', subject: null });

/** Each bad line with its error code and its message after `file:2: `. */
const unreadable: Record<string, [text: string, code: string, message: RegExp]> = {
  'incomplete JSON': ['{"specversion":', 'BAD_JSON', /./],
  'binary garbage': ['\u0000\u0001\ufffd', 'BAD_JSON', /not valid JSON/],
  'a number': ['3', 'BAD_EVENT', /^event: expected object/],
  'an array': ['[{}]', 'BAD_JSON', /^a JSON array begins here/],
  'deeply nested arrays': [
    `{"specversion":"1.0","id":"p","source":"t","type":"landfall.host.facts.v1","data":{"host":"h"},"more":${'['.repeat(1e5)}${']'.repeat(1e5)}}`,
    'BAD_JSON',
    /^more: nests deeper than 64 levels/,
  ],
  'no envelope': ['{}', 'BAD_EVENT', /^specversion: /],
  'no id': ['{"specversion":"1.0"}', 'BAD_EVENT', /^id: missing/],
  'an unknown type': [ndjson(cloudEvent('bogus', {})).trim(), 'UNKNOWN_TYPE', /^type: "landfall.bogus.v1"/],
  'no subject': [
    ndjson(cloudEvent('vm.declared', { name: 'x', host: null }, { subject: null })).trim(),
    'BAD_SUBJECT',
    /^subject: must be the VM's UUID/,
  ],
  'a subject that is no UUID': [
    ndjson(cloudEvent('vm.declared', { name: 'x', host: null }, { subject: 'db' })).trim(),
    'BAD_SUBJECT',
    /^subject: .*"db"/,
  ],
  'an invalid time': [
    ndjson(cloudEvent('host.facts', { host: 'h' }, { subject: null, time: 'yesterday' })).trim(),
    'BAD_EVENT',
    /^time: /,
  ],
  'a wrong type of field': [ndjson(declared({ name: 5 })).trim(), 'BAD_EVENT', /^data.name: expected string/],
  'an unknown field': [ndjson(declared({ surprise: 1 })).trim(), 'BAD_EVENT', /^data: .*"surprise"/],
  'a key called __proto__': [
    '{"specversion":"1.0","id":"p","source":"t","type":"landfall.host.facts.v1","data":{"host":"h","__proto__":{"polluted":1}}}',
    'BAD_EVENT',
    /^data: .*__proto__/,
  ],
  'an infinite number': [
    '{"specversion":"1.0","id":"p","source":"t","type":"landfall.configuration.set.v1","data":{"change":{"recheckIntervalSeconds":1e999},"operator":"o"}}',
    'BAD_EVENT',
    /^data.change.recheckIntervalSeconds: /,
  ],
  'an interval of 0': [
    ndjson(set({ recheckIntervalSeconds: 0 })).trim(),
    'BAD_EVENT',
    /^data.change.recheckIntervalSeconds: .*>=0.01/,
  ],
  'a negative interval': [
    ndjson(set({ recheckIntervalSeconds: -5 })).trim(),
    'BAD_EVENT',
    /^data.change.recheckIntervalSeconds: .*>=0.01/,
  ],
  'deep nesting in a list': [
    `{"specversion":"1.0","id":"p","source":"t","type":"landfall.vm.declared.v1","subject":"${VM}","data":{"name":"x","host":null,"volumes":${'['.repeat(100_000)}${']'.repeat(100_000)}}}`,
    'BAD_JSON',
    /^data: nests deeper than 64 levels/,
  ],
  'a line of 10 MB': [
    ndjson(declared({ name: 'x'.repeat(10_000_000) })).trim(),
    'TOO_LARGE',
    /the limit of an input is 1 MiB/,
  ],
  'an attempt id with half a character': [
    ndjson(cloudEvent('migration.started', { migration: 'm\ud800', source: 'a', destination: 'b' })).trim(),
    'BAD_EVENT',
    /^data.migration: must be well-formed Unicode/,
  ],
};

describe('an ingest with a bad line', () => {
  it.each(Object.entries(unreadable))(
    'stops at the bad line (%s) and keeps the events before',
    async (_, [text, code, message]) => {
      const folder = scratchFolder();
      const file = join(folder, 'events.ndjson');
      const db = join(folder, 'ledger.db');
      writeFileSync(file, `${ndjson(good('1'))}${text}\n${ndjson(good('2'))}`);
      const said = await commandLine(['ingest', file, '--db', db]);
      expect(said.code).toBe(2);
      const [, tail = ''] = said.err.split(`error ${code}: ${file}:2: `);
      expect(tail).toMatch(message);
      expect(said.err).toContain('hint: ');
      expect(said.err).not.toMatch(/\n\s+at |ZodError|DEFECT/);
      expect((await commandJson<AuditView>(['audit', '--db', db])).head.position).toBe('0:1');
    },
  );

  it('stores bad lines as dead letters with the flag --skip-bad', async () => {
    const folder = scratchFolder();
    const file = join(folder, 'events.ndjson');
    const db = join(folder, 'ledger.db');
    const letters = join(folder, 'letters.ndjson');
    const bad = Object.values(unreadable);
    writeFileSync(file, bad.map(([text], index) => `${ndjson(good(`g${index}`))}${text}\n`).join(''));
    const said = await commandLine(['ingest', file, '--skip-bad', '--dead-letters', letters, '--db', db]);
    expect(said.code).toBe(0);
    expect(said.err).toContain(`${bad.length} accepted, ${bad.length} unreadable`);
    const kept = await commandJson<DeadLetterView[]>(['dead-letters', '--db', db]);
    expect(kept.map(({ code, offset, stream }) => [code, offset, stream])).toEqual(
      bad.map(([, code], index) => [code, index * 2 + 2, `file:${file}`]),
    );
    expect(readFileSync(letters, 'utf8').trim().split('\n')).toHaveLength(bad.length);
    expect(Object.hasOwn({}, 'polluted') || 'polluted' in {}).toBe(false);

    const again = await commandLine(['ingest', file, '--skip-bad', '--db', db]);
    expect(again.err).toContain(`${bad.length} already known`);
    const audit = await commandJson<AuditView>(['audit', '--db', db]);
    expect(audit).toMatchObject({ findings: [], head: { position: `0:${bad.length * 2}` } });
  });

  it('prints the first 20 bad lines and the count of the rest', async () => {
    const folder = scratchFolder();
    const file = join(folder, 'garbage');
    writeFileSync(file, 'x\n'.repeat(3000));
    const said = await commandLine(['ingest', file, '--skip-bad', '--db', join(folder, 'ledger.db')]);
    expect(said.err).toContain('and 2980 more bad lines');
    expect(said.err.split('\n').length).toBeLessThan(50);
  });
});

/** Valid events that are refused, with code and message. In each case, attempt m-1 of the VM is open. */
const refused: Record<string, [event: object, code: string, message: RegExp]> = {
  'a known id with other content': [
    cloudEvent('host.facts', { host: 'other' }, { id: '1', subject: null }),
    'IDENTITY_CONFLICT',
    /used id "1" before/,
  ],
  'the return of an unknown attempt': [
    cloudEvent('migration.returned', { migration: 'nope', ok: true }),
    'UNKNOWN_ATTEMPT',
    /nope/,
  ],
  'an answer to an unknown question': [
    cloudEvent('host.answered', { question: 'nope/q1', host: 'host-a', ok: true, domain: null }),
    'UNKNOWN_ATTEMPT',
    /nope/,
  ],
  'an existing attempt id': [
    cloudEvent('migration.started', { migration: 'm-1', source: 'host-a', destination: 'host-b' }),
    'ATTEMPT_EXISTS',
    /m-1/,
  ],
  'a request during an open attempt': [cloudEvent('vm.requested', { action: 'start' }), 'ATTEMPT_OPEN', /m-1/],
  'an interval above the timeout': [set({ recheckIntervalSeconds: 1000 }), 'BAD_CONFIGURATION', /1000 s.*300 s/],
};

describe('an ingest with a refused event', () => {
  it.each(Object.entries(refused))(
    'records the refusal (%s) and exits with code 2',
    async (_, [event, code, message]) => {
      const folder = scratchFolder();
      const db = join(folder, 'ledger.db');
      const begun = cloudEvent(
        'migration.started',
        { migration: 'm-1', source: 'host-a', destination: 'host-b' },
        { id: 'begun' },
      );
      const file = writeEvents(join(folder, 'events.ndjson'), good('1'), begun, event, good('2'));
      const said = await commandLine(['ingest', file, '--db', db]);
      expect(said.code).toBe(2);
      expect(said.err).toMatch(new RegExp(`error ${code}: ${file}:3: `));
      expect(said.err).toContain('4 lines read: 3 accepted, 1 refused');
      const [letter, ...others] = await commandJson<DeadLetterView[]>(['dead-letters', '--db', db]);
      expect(others).toEqual([]);
      expect(letter).toMatchObject({ code, offset: 3, message: expect.stringMatching(message) });
    },
  );
});

describe('the ingest of an attempt on one host', () => {
  it('decides an attempt with equal source and destination by row same-host', async () => {
    const folder = scratchFolder();
    const db = join(folder, 'ledger.db');
    const started = cloudEvent('migration.started', { migration: 'm-1', source: 'host-a', destination: 'host-a' });
    const returned = cloudEvent('migration.returned', { migration: 'm-1', ok: true });
    const file = writeEvents(join(folder, 'events.ndjson'), started, returned);
    expect((await commandLine(['ingest', file, '--db', db])).code).toBe(0);
    const [attempt] = await commandJson<{ state: string; verdict: { row: string } }[]>(['migrations', '--db', db]);
    expect(attempt).toMatchObject({ state: 'RolledBack', verdict: { row: 'same-host' } });
  });
});

describe('the ingest of an event with a wrong time', () => {
  it('accepts the event and prints a warning', async () => {
    const folder = scratchFolder();
    const at = (time: string) => cloudEvent('host.facts', { host: 'h' }, { subject: null, time });
    const file = writeEvents(
      join(folder, 'e.ndjson'),
      at('2099-01-01T00:00:00Z'),
      at('1970-01-01T00:00:00Z'),
      at(new Date().toISOString()),
    );
    const said = await commandLine(['ingest', file, '--db', join(folder, 'ledger.db')]);
    expect(said.code).toBe(0);
    expect(said.err).toMatch(
      /e.ndjson: time 2099-01-01T00:00:00Z \(.*e.ndjson:1\) is \d+ years ahead of this machine's clock, and 1 more/,
    );
  });
});

describe('an unusable input file', () => {
  it.each([
    ['that does not exist', 'missing.ndjson', 'ENOENT', 'does not exist'],
    ['that is a folder', 'folder', 'EISDIR', 'is a folder'],
  ])('stops the ingest before other files are read: a file %s', async (_, name, code, words) => {
    const folder = scratchFolder();
    mkdirSync(join(folder, 'folder'));
    const db = join(folder, 'ledger.db');
    const fine = writeEvents(join(folder, 'fine.ndjson'), good('1'));
    const said = await commandLine(['ingest', fine, join(folder, name), '--db', db]);
    expect(said).toMatchObject({
      code: 2,
      err: expect.stringMatching(new RegExp(`error ${code}: .*${name} ${words}`)),
    });
    expect(existsSync(db)).toBe(false);
  });

  it('adds no events if it is empty', async () => {
    const folder = scratchFolder();
    const file = writeEvents(join(folder, 'empty'));
    expect(await commandLine(['ingest', file, '--db', join(folder, 'ledger.db')])).toMatchObject({
      code: 0,
      err: '0 lines read',
    });
  });
});
