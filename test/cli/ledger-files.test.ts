import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import { withWriter } from '../../cli/ledger-file.ts';
import { type AuditView, commandJson, commandLine } from '../support/command-line.ts';
import { cloudEvent, ndjson, writeEvents } from '../support/events.ts';
import { finished, recording, scratchFolder, start } from '../support/landfall.ts';
import { MountedFolder } from '../log/mounted-folder.ts';

/** Unusable ledger files must exit with 2, an error code, the file's name and a remedy. */

const canMount = MountedFolder.isPossible();
const fact = (id: string) => cloudEvent('host.facts', { host: 'host-a' }, { id, subject: null });

/** Returns every command that opens a ledger; the first three commands write. */
const commands = (input: string): string[][] => [
  ['ingest', input],
  ['config', 'set', 'recheckIntervalSeconds=5'],
  ['rebuild'],
  ['status'],
  ['migrations'],
  ['explain', 'm-1'],
  ['history', 'vm1'],
  ['dead-letters'],
  ['config', 'get'],
  ['audit'],
  ['backtest'],
];
const READING = 3;

async function eachRefuses(db: string, args: string[][], code: string): Promise<void> {
  for (const command of args) {
    const said = await commandLine([...command, '--db', db]);
    expect({ command, ...said }).toMatchObject({ code: 2, out: '' });
    expect(said.err).toMatch(new RegExp(`^error ${code}: .*\\n {2}hint: `));
    expect(said.err).toContain(db);
  }
}

describe('every command', () => {
  it('refuses a file that is not a ledger without changing it', async () => {
    const folder = scratchFolder();
    const input = writeEvents(join(folder, 'e.ndjson'), fact('1'));
    const before = readFileSync(input);
    await eachRefuses(input, commands(input), 'LEDGER_NOT_A_LEDGER');
    expect(readFileSync(input)).toEqual(before);
    expect(existsSync(`${input}.lock`)).toBe(false);
    mkdirSync(join(folder, 'folder'));
    await eachRefuses(join(folder, 'folder'), commands(input), 'LEDGER_NOT_A_LEDGER');
  });

  it('refuses a ledger of a newer Landfall version', async () => {
    const folder = scratchFolder();
    const input = writeEvents(join(folder, 'e.ndjson'), fact('1'));
    const db = join(folder, 'ledger.db');
    await commandLine(['ingest', input, '--db', db]);
    const file = new DatabaseSync(db);
    file.exec('PRAGMA user_version = 99');
    file.close();
    await eachRefuses(db, commands(input), 'LEDGER_NEWER');
  });

  it('refuses a ledger path that does not exist and creates no file', async () => {
    const folder = scratchFolder();
    const db = join(folder, 'none.db');
    await eachRefuses(db, [['rebuild'], ...commands('').slice(READING)], 'LEDGER_MISSING');
    expect(existsSync(db)).toBe(false);
  });
});

describe('a landfall command', () => {
  it.skipIf(!canMount)('reads a read-only ledger but refuses to write to it (as root)', async () => {
    using mounted = new MountedFolder('8m');
    const db = join(mounted.folder, 'ledger.db');
    const input = writeEvents(join(scratchFolder(), 'e.ndjson'), fact('1'));
    await commandLine(['ingest', recording('abort'), '--db', db]);
    mounted.remount('ro');
    await eachRefuses(db, commands(input).slice(0, READING), 'LEDGER_READ_ONLY');
    for (const args of [['status'], ['audit'], ['explain', 'm-1'], ['history', 'vm1']]) {
      expect(await commandLine([...args, '--db', db])).toMatchObject({ code: 0, err: '' });
    }
    mounted.remount('rw');
  });

  it.skipIf(!canMount)('keeps committed events when the disk fills up, and continues later (as root)', async () => {
    using mounted = new MountedFolder('3m');
    const db = join(mounted.folder, 'ledger.db');
    const count = 4000;
    const events = Array.from({ length: count }, (_, index) => fact(`f-${index}`));
    const input = writeEvents(join(scratchFolder(), 'many.ndjson'), ...events);
    const said = await commandLine(['ingest', input, '--db', db]);
    expect(said).toMatchObject({
      code: 2,
      err: expect.stringMatching(/error LEDGER_FULL: the disk of .*ledger.db is full\n {2}hint: /),
    });
    mounted.remount('size=64m');
    const { head } = await commandJson<AuditView>(['audit', '--db', db]);
    const kept = Number(head.position.split(':')[1]);
    expect(kept).toBeLessThan(count);
    const again = await commandLine(['ingest', input, '--db', db]);
    expect(again).toMatchObject({ code: 0, err: expect.stringContaining(`${count - kept} accepted`) });
    expect(await commandJson<AuditView>(['audit', '--db', db])).toMatchObject({
      findings: [],
      head: { position: `0:${count}` },
    });
  });

  it('refuses to write a ledger during another write but reads it', async () => {
    const folder = scratchFolder();
    const db = join(folder, 'ledger.db');
    const input = writeEvents(join(folder, 'e.ndjson'), fact('1'));
    const first = start(['ingest', '-', '--db', db]);
    const ended = finished(first, null);
    first.stdin?.write(ndjson(fact('0')));
    await until(() => existsSync(db));
    const said = await untilValue(
      () => commandLine(['ingest', input, '--db', db]),
      ({ code }) => code === 2,
    );
    expect(said.err).toMatch(/error LEDGER_BUSY: process \d+ writes .*ledger.db/);
    expect(said.err).toContain(String(first.pid));
    expect(await commandLine(['status', '--db', db])).toMatchObject({ code: 0 });
    first.stdin?.end();
    expect((await ended).code).toBe(0);
    expect((await commandLine(['ingest', input, '--db', db])).code).toBe(0);
  });

  it('names its own process if that process already writes the ledger', async () => {
    const db = join(scratchFolder(), 'ledger.db');
    await withWriter(db, async () => {
      const said = await commandLine(['rebuild', '--db', db]);
      expect(said).toMatchObject({ code: 2, err: expect.stringContaining('this process already writes') });
    });
  });
});

describe('a landfall process', () => {
  it('reports an interrupted ingest, and its next run completes the ingest', async () => {
    const folder = scratchFolder();
    const db = join(folder, 'ledger.db');
    const child = start(['ingest', '-', '--db', db]);
    const ended = finished(child, null);
    child.stdin?.write(ndjson(...Array.from({ length: 600 }, (_, index) => fact(`i-${index}`))));
    await until(() => existsSync(`${db}-wal`));
    child.kill('SIGINT');
    const ran = await ended;
    expect(ran).toMatchObject({
      code: 130,
      stderr: expect.stringContaining('interrupted: committed entries are kept'),
    });
    const input = writeEvents(
      join(folder, 'e.ndjson'),
      ...Array.from({ length: 600 }, (_, index) => fact(`i-${index}`)),
    );
    expect((await commandLine(['ingest', input, '--db', db])).code).toBe(0);
    expect(await commandJson<AuditView>(['audit', '--db', db])).toMatchObject({
      findings: [],
      head: { position: '0:600' },
    });
  });

  it('exits normally if its output pipe or standard input is closed', () => {
    const folder = scratchFolder();
    const bin = join(import.meta.dirname, '../../bin/landfall.js');
    writeFileSync(join(folder, 'garbage'), 'x\n'.repeat(500));
    const script = `
      "$NODE" "$BIN" ingest garbage "$RECORDING" --skip-bad --db ledger.db 2>&1 | head -c 1 >/dev/null
      "$NODE" "$BIN" ingest - --db ledger.db <&- 2>closed; echo "closed $?"
      "$NODE" "$BIN" status --db ledger.db | cat > piped
      "$NODE" "$BIN" dead-letters --json --db ledger.db | grep -o '"BAD_JSON"' | wc -l`;
    const env = {
      ...process.env,
      NODE: process.execPath,
      BIN: bin,
      RECORDING: recording('abort'),
      FORCE_COLOR: undefined,
      NO_COLOR: undefined,
    };
    const ran = spawnSync('bash', ['-c', script], { cwd: folder, env, encoding: 'utf8' });
    expect(ran.stdout.split('\n').map((line) => line.trim())).toEqual(['closed 0', '500', '']);
    expect(readFileSync(join(folder, 'closed'), 'utf8')).toBe('0 lines read\n');
    const piped = readFileSync(join(folder, 'piped'), 'utf8');
    expect(piped).toContain('host-a');
    expect(piped).not.toContain('\u001b');
  });
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 20));
}

async function untilValue<T>(make: () => Promise<T>, isIt: (value: T) => boolean): Promise<T> {
  for (;;) {
    const value = await make();
    if (isIt(value)) return value;
  }
}
