import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type AuditView, commandJson, commandLine } from '../support/command-line.ts';
import { recording, scratchFolder } from '../support/landfall.ts';

/** Reformatted, cut, repeated and mixed recordings must give the same ledger or a precise error. */

describe('landfall ingest of a recording', () => {
  const text = readFileSync(recording('finish_reply_lost'), 'utf8');
  const heads = new Map<string, AuditView>();

  async function headOf(...texts: [text: string, ...options: string[]][]): Promise<AuditView> {
    const folder = scratchFolder();
    const db = join(folder, 'ledger.db');
    for (const [index, [content, ...options]] of texts.entries()) {
      const file = join(folder, `${index}.ndjson`);
      writeFileSync(file, content);
      await commandLine(['ingest', file, ...options, '--db', db]);
    }
    return commandJson<AuditView>(['audit', '--db', db]);
  }

  async function undisturbed(): Promise<AuditView> {
    const known = heads.get('whole') ?? (await headOf([text]));
    heads.set('whole', known);
    return known;
  }

  it.each<[string, [string, ...string[]][]]>([
    ['with CRLF line ends', [[text.replaceAll('\n', '\r\n')]]],
    ['with a byte order mark', [[`\ufeff${text}`]]],
    ['with blank lines', [[text.replaceAll('\n', '\n\n')]]],
    ['without its last line end', [[text.trimEnd()]]],
    ['repeated in one file', [[text + text]]],
    ['without its truth line', [[text.slice(0, text.lastIndexOf('{'))]]],
    ['ingested twice', [[text], [text]]],
    ['incomplete, then complete', [[text.slice(0, 20_000)], [text]]],
    ['incomplete with --skip-bad, then complete', [[text.slice(0, 20_000), '--skip-bad'], [text]]],
    [
      'incomplete near its end with --skip-bad, then complete',
      [[text.slice(0, text.length - 300), '--skip-bad'], [text]],
    ],
  ])('gives the same ledger as the original for a recording %s', async (_, texts) => {
    const audit = await headOf(...texts);
    expect(audit.findings).toEqual([]);
    expect(audit.head).toEqual((await undisturbed()).head);
  });

  it('reports an incomplete recording with a remedy', async () => {
    const folder = scratchFolder();
    const file = join(folder, 'cut.ndjson');
    writeFileSync(file, text.slice(0, 20_000));
    const lines = text.slice(0, 20_000).split('\n').length;
    const said = await commandLine(['ingest', file, '--db', join(folder, 'ledger.db')]);
    expect(said.code).toBe(2);
    expect(said.err).toContain(`error CUT_OFF: ${file}:${lines}: the file ends within this line`);
    expect(said.err).toContain('Ingest the complete file again');
  });

  it.each([
    ['{"kind":"bogus","t":1}', 'UNKNOWN_TYPE', 'kind: "bogus" is not a kind of recorded line'],
    ['{"kind":"probe","t":1795436312712}', 'BAD_EVENT', 'host: missing'],
    ['{"kind":"probe","t":"now","host":"a"}', 'BAD_EVENT', 't: expected number'],
    ['{"kind":"stream-lost","t":1,"host":"a"}', 'BAD_TIME', 't: 1 is more than a minute before'],
    ['{"kind":"stream-lost","t":1e15,"host":"a"}', 'BAD_TIME', 't: 1000000000000000 is more than a day after'],
    ['{"kind":"api","t":1795436312712,"action":"migrate","phase":"start"}', 'BAD_RECORDING', 'migrationId: missing'],
  ])('rejects the line %s', async (line, code, message) => {
    const folder = scratchFolder();
    const file = join(folder, 'bad.ndjson');
    writeFileSync(file, `${text.slice(0, text.indexOf('\n'))}\n${line}\n`);
    const said = await commandLine(['ingest', file, '--db', join(folder, 'ledger.db')]);
    expect(said).toMatchObject({ code: 2, err: expect.stringContaining(`error ${code}: ${file}:2: ${message}`) });
  });

  it('rejects a recording without its first line', async () => {
    const folder = scratchFolder();
    const file = join(folder, 'headless.ndjson');
    writeFileSync(file, text.slice(text.indexOf('\n') + 1));
    const said = await commandLine(['ingest', file, '--db', join(folder, 'ledger.db')]);
    expect(said.err).toContain(`error BAD_RECORDING: ${file}:1: kind: the first line of a recording must be its`);
  });

  it('renames the id of an attempt that another recording uses', async () => {
    const folder = scratchFolder();
    const [one, other] = [recording('api_ok'), recording('abort')];
    const both = join(folder, 'both.ndjson');
    writeFileSync(both, readFileSync(one, 'utf8') + readFileSync(other, 'utf8'));
    const said = await commandLine(['ingest', one, other, '--db', join(folder, 'two.db')]);
    expect(said.err).toContain('is stored as abort/m-1');
    await commandLine(['ingest', both, '--db', join(folder, 'one.db')]);
    const [two, single] = [
      await commandJson<AuditView>(['audit', '--db', join(folder, 'two.db')]),
      await commandJson<AuditView>(['audit', '--db', join(folder, 'one.db')]),
    ];
    expect(two.findings).toEqual([]);
    expect(single.head).toEqual(two.head);
  });
});
