import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { Fault } from '../../events/fault.ts';
import { backtest } from '../../policies/backtest.ts';
import { migrations } from '../../projections/attempts.ts';
import { vmStatus } from '../../projections/vms.ts';
import type { Io } from '../io.ts';
import { DEMO_FILE, withWriter, withLedger } from '../ledger-file.ts';
import { backtestText } from '../render/backtest.ts';
import { migrationsTable } from '../render/migrations.ts';
import { statusTable } from '../render/status.ts';
import { ingestFiles } from './ingest.ts';
import { examples } from './options.ts';

/**
 * Defines `landfall demo`: plays the shipped recordings into their own ledger and compares the verdicts with the truth.
 */

/** The folder is two levels up in a checkout and three levels up in the built package. */
const RECORDINGS = ['../../recordings', '../../../recordings']
  .map((place) => join(import.meta.dirname, place))
  .find((folder) => existsSync(folder));

export function shippedRecordings(): string[] {
  if (RECORDINGS === undefined)
    throw new Fault('NO_RECORDINGS', 'the shipped recordings are missing', 'Install the package again.');
  const folder = RECORDINGS;
  return readdirSync(folder)
    .filter((name) => name.endsWith('.ndjson'))
    .sort()
    .map((name) => join(folder, name));
}

export function addDemo(program: Command, io: Io): void {
  program
    .command('demo')
    .summary('plays the shipped recordings of real migrations')
    .description(
      'Plays the shipped recordings of real migrations into a new demo ledger and compares the verdicts with the truth.',
    )
    .addOption(new Option('--db <file>', 'the demo ledger').default(DEMO_FILE))
    .addHelpText('after', examples(['landfall demo', 'compare Landfall with other systems on real migrations']))
    .action((options: { db: string }) => demo(options, io));
}

async function demo({ db: file }: { db: string }, io: Io): Promise<void> {
  if (existsSync(file)) await deleteDemo(file);
  await playRecordings(file, io);
  await withLedger(file, ({ db }) => {
    io.out(`\n${statusTable(vmStatus(db), io.style)}`);
    io.out(next(migrations(db)[0]?.migration ?? 'ATTEMPT', file, io));
  });
}

/** @throws Fault LEDGER_BUSY if a service has this ledger open. */
async function deleteDemo(file: string): Promise<void> {
  await withWriter(file, () => Promise.resolve());
  for (const suffix of ['', '-wal', '-shm', '.lock']) rmSync(`${file}${suffix}`, { force: true });
}

/**
 * Plays the shipped recordings into their own ledger and compares Landfall and other policies with the truth. If the
 * recordings were played before, their verdicts are listed.
 */
export async function playRecordings(file: string, io: Io): Promise<void> {
  const files = shippedRecordings();
  io.out(io.style.paint('bold', `${files.length} recorded migrations of real libvirt hosts, decided while they play`));
  io.out('');
  const report = await ingestFiles(files, { db: file, apart: true, verify: true }, { ...io, err: () => {} });
  await withLedger(file, async ({ db, ledger }) => {
    if (report.consumed === 0) io.out(migrationsTable(migrations(db), io.style));
    io.out(`\n${backtestText(await backtest(ledger.read(ledger.partition, 1), report.endings), io.style)}`);
  });
}

function next(migration: string, file: string, { style }: Io): string {
  const lines = [
    [`npx landfall explain ${migration} --db ${file}`, 'the questions, the answers and the deciding row'],
    [`npx landfall history 'vm1 (finish_reply_lost)' --db ${file}`, 'the timeline of one VM'],
    [`npx landfall audit --db ${file}`, 'check the ledger'],
    ['npx landfall --help', 'all commands'],
  ] as const;
  const width = Math.max(...lines.map(([command]) => command.length));
  return `\n${style.paint('bold', 'Next')}\n${lines.map(([command, what]) => `  ${command.padEnd(width)}  ${what}`).join('\n')}`;
}
