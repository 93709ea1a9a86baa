import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { parseTime } from '../../cli/ledger-file.ts';
import { type AuditView, commandJson, commandLine, type DeadLetterView } from '../support/command-line.ts';
import { cloudEvent, VM, writeEvents } from '../support/events.ts';
import { recording, scratchFolder } from '../support/landfall.ts';

/** Wrong use of commands must exit with 2, an error code, a message and a remedy. */

let db: string;
const OTHER = 'aaaaaaaa-0000-4000-8000-0000000000bb';

beforeAll(async () => {
  db = join(
    scratchFolder(() => {}),
    'ledger.db',
  );
  await commandLine(['ingest', recording('abort'), '--db', db]);
  const named = (subject: string) => cloudEvent('vm.declared', { name: 'twin', host: 'host-a' }, { subject });
  const file = writeEvents(
    join(
      scratchFolder(() => {}),
      'twins.ndjson',
    ),
    named(VM),
    named(OTHER.toUpperCase()),
  );
  await commandLine(['ingest', file, '--db', db]);
});

describe('a command', () => {
  it('prefers the flag --db to the variable LANDFALL_SERVER', async () => {
    vi.stubEnv('LANDFALL_SERVER', 'http://127.0.0.1:9');
    try {
      expect(await commandLine(['status', '--db', db])).toMatchObject({ code: 0 });
      expect(await commandLine(['status'])).toMatchObject({ code: 2 });
      expect(await commandLine(['status', '--db', db, '--server', 'http://127.0.0.1:9'])).toMatchObject({ code: 2 });
    } finally {
      vi.unstubAllEnvs();
    }
  });
});

describe('wrong use of a command', () => {
  it.each<[string, string[], string]>([
    ['an unknown VM', ['status', 'nope'], 'UNKNOWN_VM: the ledger has no VM "nope"'],
    ['an unknown VM', ['history', 'nope'], 'UNKNOWN_VM'],
    ['an unknown VM', ['migrations', 'nope'], 'UNKNOWN_VM'],
    ['a name that two VMs share', ['history', 'twin'], `AMBIGUOUS_VM: 2 VMs are called "twin": ${VM}, ${OTHER}`],
    ['an unknown attempt', ['explain', 'nope'], 'UNKNOWN_ATTEMPT: there is no attempt "nope"'],
    ['an unknown attempt', ['resolve', 'nope', '--host', 'h', '--reason', 'r', '--attest'], 'UNKNOWN_ATTEMPT'],
    ['a settled attempt', ['resolve', 'm-1', '--host', 'host-a', '--reason', 'r', '--attest'], 'NOT_CONTESTED'],
    [
      'an empty reason',
      ['resolve', 'm-1', '--host', 'host-a', '--reason', '', '--attest'],
      'BAD_OPTION: --reason is empty',
    ],
    ['an invalid time', ['status', '--at', 'yesterday'], 'BAD_TIME: --at: "yesterday"'],
    ['an unknown setting', ['config', 'set', 'bogus=1'], 'BAD_CONFIGURATION: there is no setting "bogus"'],
    ['an unknown setting', ['config', 'set', '__proto__=1'], 'BAD_CONFIGURATION: there is no setting "__proto__"'],
    ['an unknown setting', ['config', 'get', 'constructor'], 'BAD_CONFIGURATION: there is no setting'],
    ['a missing value', ['config', 'set', 'recheckIntervalSeconds'], 'BAD_OPTION: .* is not key=value'],
    [
      'a value that is not a number',
      ['config', 'set', 'recheckIntervalSeconds=0x10'],
      'BAD_CONFIGURATION: recheckIntervalSeconds: "0x10" is not a number',
    ],
    [
      'an interval of 0',
      ['config', 'set', 'recheckIntervalSeconds=0'],
      'BAD_CONFIGURATION: recheckIntervalSeconds: .*>=0.01, not 0',
    ],
    [
      'a negative interval',
      ['config', 'set', 'recheckIntervalSeconds=-1'],
      'BAD_CONFIGURATION: recheckIntervalSeconds: .*>=0.01, not -1',
    ],
    [
      'an interval above the timeout',
      ['config', 'set', 'recheckIntervalSeconds=301'],
      'BAD_CONFIGURATION: .*301 s.* must not exceed .*300 s',
    ],
    [
      'a repeated setting',
      ['config', 'set', 'recheckIntervalSeconds=1', 'recheckIntervalSeconds=2'],
      'BAD_OPTION: .* is given twice',
    ],
    ['a repeated stdin', ['ingest', '-', '-'], 'BAD_OPTION: stdin \\(-\\) is given twice'],
    ['an unknown policy', ['backtest', '--policy', 'nope'], 'UNKNOWN_POLICY'],
    ['an unknown outcome', ['ingest', 'x', '--fail-on', 'nope'], 'BAD_OPTION: --fail-on'],
    ['an invalid head', ['audit', '--head', 'nope'], 'BAD_HEAD'],
    ['an unwritable file for heads', ['audit', '--save-head', '/nope/heads'], 'ENOENT: /nope/heads does not exist'],
    [
      'an unwritable file for dead letters',
      ['ingest', recording('abort'), '--dead-letters', '/nope/x'],
      'ENOENT: /nope/x does not exist',
    ],
    ['an unknown option', ['status', '--nope'], "unknown option '--nope'"],
  ])('causes an error for %s: landfall %j', async (_, args, message) => {
    const said = await commandLine([...args, '--db', db]);
    expect(said).toMatchObject({ code: 2, out: '' });
    expect(said.err).toMatch(new RegExp(`^error:? (${message})`));
    expect(said.err).toContain('hint: ');
  });

  it('causes an error for an unknown or missing command', async () => {
    expect(await commandLine(['nope'])).toMatchObject({
      code: 2,
      err: expect.stringContaining("unknown command 'nope'"),
    });
    expect(await commandLine([])).toMatchObject({ code: 2, err: expect.stringContaining('Usage: landfall') });
  });
});

describe('a command line with configured Kafka brokers', () => {
  it.each([
    ['environment', ['resolve', 'm-1', '--host', 'host-a', '--reason', 'r', '--attest']],
    ['file', ['config', 'set', 'recheckIntervalSeconds=5']],
    ['environment', ['status']],
    ['file', ['config', 'get']],
    ['file', ['history', 'm-1']],
  ])('requires --server or --db (brokers set by %s): landfall %j', async (where, args) => {
    const folder = scratchFolder();
    const config = join(folder, 'landfall.json');
    writeFileSync(config, JSON.stringify({ kafkaBrokers: ['127.0.0.1:1'] }));
    const env = where === 'file' ? { LANDFALL_CONFIG: config } : { LANDFALL_KAFKA_BROKERS: '127.0.0.1:1' };
    const say = async (...more: string[]) => (await commandLine([...args, ...more], undefined, env)).err;
    expect(await say()).toMatch(/NEEDS_SERVER(.|\n)*--server URL/);
    expect(await say('--server', 'http://127.0.0.1:1')).not.toContain('NEEDS_SERVER');
    expect(await say('--db', join(folder, 'named.db'))).not.toContain('NEEDS_SERVER');
  });
});

describe('the command', () => {
  // Each command waits for a broker that does not exist, so the rows run at the same time.
  it.concurrent.for<[string, string[]]>([
    ['audit', []],
    ['audit', ['--kafka-brokers', '127.0.0.1:1']],
    ['rebuild', []],
    ['rebuild', ['--kafka-brokers', '127.0.0.1:1']],
  ])(
    'reads the Kafka topics unless --db is given: landfall %s %j',
    async ([name, args], { onTestFinished, expect }) => {
      const env = { LANDFALL_KAFKA_BROKERS: '127.0.0.1:1' };
      const missing = join(scratchFolder(onTestFinished), 'named.db');
      expect((await commandLine([name, ...args, '--kafka-prefix', 'p'], undefined, env)).err).toContain('KAFKA_FAILED');
      const file = await commandLine([name, '--db', missing], undefined, env);
      expect(file.err).toContain('LEDGER_MISSING');
    },
  );
});

describe('the search for a VM', () => {
  it('finds a VM by name, or by UUID in any case', async () => {
    expect(await commandJson(['status', OTHER.toUpperCase(), '--db', db])).toMatchObject([{ vm: OTHER, name: 'twin' }]);
    expect(await commandJson(['status', 'twin', '--db', db])).toMatchObject([{ vm: VM }, { vm: OTHER }]);
  });
});

describe('the parser of times', () => {
  it.each([
    ['2026-11-23T02:14:00Z', Date.UTC(2026, 10, 23, 2, 14)],
    ['2026-11-23T02:14:00+01:00', Date.UTC(2026, 10, 23, 1, 14)],
    ['2026-11-23 02:14:00.500Z', Date.UTC(2026, 10, 23, 2, 14, 0, 500)],
    ['2026-11-23 02:14', Date.UTC(2026, 10, 23, 2, 14)],
    ['2026-11-23', Date.UTC(2026, 10, 23)],
    ['1795435047827', 1_795_435_047_827],
  ])('accepts the time %s', (text, ms) => {
    expect(parseTime(text)).toBe(ms);
  });

  it.each([
    '',
    '5',
    '-1',
    '2026',
    '2026-13-01',
    '2026-02-30',
    '2026-11-23T25:00:00Z',
    '99999999999999999',
    'NaN',
    '2026-11-23T02:14:00Zx',
  ])('rejects the time %j', (text) => {
    expect(() => parseTime(text)).toThrow(expect.objectContaining({ code: 'BAD_TIME' }));
  });
});

describe('the command resolve', () => {
  it('requires --attest to settle a contested attempt', async () => {
    const folder = scratchFolder();
    const file = join(folder, 'contested.db');
    const story = join(folder, 'contested.ndjson');
    writeFileSync(story, contested());
    expect(await commandLine(['ingest', story, '--db', file, '--fail-on', 'contested'])).toMatchObject({ code: 1 });
    const args = [
      'resolve',
      'm-1',
      '--host',
      'host-a',
      '--reason',
      'console checked',
      '--operator',
      'kim',
      '--db',
      file,
    ];
    expect(await commandLine(args)).toMatchObject({
      code: 2,
      err: expect.stringMatching(/^error NOT_ATTESTED.*\n.*--attest/),
    });
    expect(await commandJson<DeadLetterView[]>(['dead-letters', '--db', file])).toMatchObject([
      { code: 'NOT_ATTESTED' },
    ]);
    const strange = await commandLine([
      'resolve',
      'm-1',
      '--host',
      'nowhere',
      '--reason',
      'r',
      '--attest',
      '--db',
      file,
    ]);
    expect(strange).toMatchObject({ code: 2, err: expect.stringContaining('error UNKNOWN_HOST') });
    expect((await commandLine([...args, '--attest'])).code).toBe(0);
    expect(await commandJson(['migrations', '--db', file])).toMatchObject([
      { contested: false, verdict: { host: 'host-a' } },
    ]);
    expect((await commandJson<AuditView>(['audit', '--db', file])).findings).toEqual([]);
  });
});

/** Returns a recording whose hosts do not answer after the call failed, so that the attempt becomes contested. */
function contested(): string {
  const lines = readFileSync(recording('abort'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const end = lines.findIndex(({ kind, phase }) => kind === 'api' && phase === 'end');
  const mute = lines.map((line, index) => {
    if (index < end) return line;
    if (line['kind'] === 'api') return { ...line, error: 'error: client socket is closed' };
    return line['kind'] === 'probe'
      ? { t: line['t'], kind: 'probe', host: line['host'], asked: line['asked'], ok: false, error: 'timeout' }
      : line;
  });
  return mute.map((line) => `${JSON.stringify(line)}\n`).join('');
}
