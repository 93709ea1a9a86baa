import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { Fault } from '../../events/fault.ts';
import { backtest } from '../../policies/backtest.ts';
import { migrations } from '../../projections/attempts.ts';
import { vmStatus } from '../../projections/vms.ts';
import type { Io } from '../io.ts';
import { DEMO_FILE, reading } from '../ledgers.ts';
import { backtestText } from '../render/backtest.ts';
import { statusTable } from '../render/status.ts';
import { ingestFiles } from './ingest.ts';

/** Plays the shipped recordings into a ledger of their own, and compares what was decided with the truth. */

/** From source in a checkout, or one folder deeper in the built package. */
const RECORDINGS = ['../../recordings', '../../../recordings']
  .map((place) => join(import.meta.dirname, place))
  .find((folder) => existsSync(folder));

export function shippedRecordings(): string[] {
  if (RECORDINGS === undefined)
    throw new Fault('NO_RECORDINGS', 'the shipped recordings are missing', 'Install the package anew.');
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
      'Plays the shipped recordings of real migrations into a demo ledger, made anew each time, and compares the verdicts with the truth.',
    )
    .action(() => demo(io));
}

async function demo(io: Io): Promise<void> {
  for (const suffix of ['', '-wal', '-shm', '.lock']) rmSync(`${DEMO_FILE}${suffix}`, { force: true });
  const files = shippedRecordings();
  io.out(io.style.paint('bold', `${files.length} recorded migrations of two real libvirt hosts, judged as they play`));
  io.out('');
  const report = await ingestFiles(files, { db: DEMO_FILE, apart: true, verify: true }, io);
  await reading(DEMO_FILE, async ({ db, ledger }) => {
    io.out(`\n${statusTable(vmStatus(db), io.style)}`);
    io.out(`\n${backtestText(await backtest(ledger.read(0, 1), report.endings), io.style)}`);
    io.out(next(migrations(db)[0]?.migration ?? 'ATTEMPT', io));
  });
}

function next(migration: string, { style }: Io): string {
  const lines = [
    [`npx landfall explain ${migration} --db ${DEMO_FILE}`, 'what was asked, what was answered, which row decided'],
    [`npx landfall history 'vm1 (finish_reply_lost)' --db ${DEMO_FILE}`, 'the timeline of one VM'],
    [`npx landfall audit --db ${DEMO_FILE}`, 'replay the ledger and compare'],
    ['npx landfall --help', 'everything else'],
  ] as const;
  const width = Math.max(...lines.map(([command]) => command.length));
  return `\n${style.paint('bold', 'Next')}\n${lines.map(([command, what]) => `  ${command.padEnd(width)}  ${what}`).join('\n')}`;
}
