import { appendFileSync, statSync } from 'node:fs';
import type { Command } from 'commander';
import { fileSource, Ingest, type IngestReport, type Source, stdinSource } from '../../consumers/ingest.ts';
import type { Driver } from '../../consumers/driver.ts';
import { peekTime } from '../../consumers/recording/peek.ts';
import type { Entry } from '../../events/entries.ts';
import { Fault } from '../../events/fault.ts';
import type { Ledger } from '../../log/port.ts';
import { deadLettersOf } from '../../producers/dead-letters.ts';
import { Dispatcher, unanswered } from '../../producers/dispatcher.ts';
import { countsByState } from '../../projections/attempts.ts';
import { EXIT_WRONG_USE, Found, type Io } from '../io.ts';
import { driving, reading } from '../ledgers.ts';
import { faultText } from '../render/errors.ts';
import { ingestTotals, VerdictPrinter } from '../render/ingest-summary.ts';
import { dbOption, examples, jsonOption } from './options.ts';

const BAD_LINES_TOLD = 20;

/** Runs work as the one writer of partition 0 of a ledger. */
type Drive = <T>(work: (driver: Driver, ledger: Ledger) => Promise<T>) => Promise<T>;

export type IngestOptions = {
  db: string;
  json?: true;
  skipBad?: true;
  apart?: true;
  failOn?: string[];
  deadLetters?: string;
  verify: boolean;
};

export function addIngest(program: Command, io: Io): void {
  program
    .command('ingest')
    .summary('recorded streams or CloudEvents into the ledger')
    .description(
      'Takes recorded migrations or CloudEvents 1.0, one JSON object a line (- reads stdin), into the ledger. ' +
        'A recording is played on its own clock and its questions are answered from it. ' +
        'What is in already is recognised: an interrupted ingest is finished by running it again.',
    )
    .argument('<file...>', 'ndjson files; - for stdin')
    .addOption(dbOption())
    .addOption(jsonOption())
    .option('--skip-bad', 'a bad line goes to the dead letters and the rest goes in')
    .option('--dead-letters <file>', 'append what was refused, with its reason, as ndjson')
    .option('--apart', 'every recording gets VMs and attempts of its own, named after it')
    .option('--fail-on <what...>', 'exit 1 where an attempt ends so: contested')
    .option('--no-verify', 'open the ledger although its end is altered')
    .addHelpText(
      'after',
      examples(
        ['landfall ingest recordings/abort.ndjson', 'play one recorded migration'],
        ['landfall ingest --skip-bad events.ndjson', 'take the good lines, keep the bad ones as dead letters'],
        ['producer | landfall ingest -', 'CloudEvents from stdin'],
      ),
    )
    .action((files: string[], options: IngestOptions) => ingestCommand(files, options, io));
}

async function ingestCommand(files: string[], options: IngestOptions, io: Io): Promise<void> {
  const wrong = options.failOn?.find((what) => what !== 'contested');
  if (wrong !== undefined)
    throw new Fault('BAD_OPTION', `--fail-on: ${JSON.stringify(wrong)} is not known`, 'It takes: contested.');
  if (files.filter((file) => file === '-').length > 1)
    throw new Fault('BAD_OPTION', 'stdin is named twice', 'It can be read once: name - once.');
  for (const file of files) {
    if (statSync(file, { throwIfNoEntry: false })?.isDirectory())
      throw new Fault('EISDIR', `${file} is a folder`, 'Name the files in it.');
  }
  // Before anything is taken in: a place that cannot be written to is told at once.
  if (options.deadLetters !== undefined) appendFileSync(options.deadLetters, '');
  const report = await ingestFiles(files, options, io);
  if (options.json === true) io.out(JSON.stringify({ ...report, endings: undefined }));
  else io.err(ingestTotals(report, io.errStyle));
  if (report.refused > 0 && options.skipBad !== true)
    throw new Found(`${report.refused} input(s) were refused`, { cause: EXIT_WRONG_USE });
  if (options.failOn !== undefined) await failOnContested(options.db);
}

/** Ingests files in the order of their recordings' times, and prints each verdict as it falls. */
export async function ingestFiles(
  files: string[],
  options: IngestOptions,
  io: Io,
  drive: Drive = (work) => driving(options.db, work, options.verify),
): Promise<IngestReport> {
  const sources = await inOrder(files.map((file) => (file === '-' ? stdinSource() : fileSource(file))));
  const print = options.json === true ? () => {} : io.out;
  const work = async (driver: Driver, ledger: Ledger) => {
    const verdicts = new VerdictPrinter(io.style, print);
    driver.onCommitted((entries) => verdicts.committed(entries));
    const bad = new BadLines(io);
    const ingest = new Ingest(driver, {
      skipBad: options.skipBad === true,
      apart: options.apart === true,
      now: io.now,
      onBadLine: (fault) => bad.tell(fault),
      onNotice: (text) => io.err(text),
      onProgress: progress(io),
      unanswered: (clock) => unanswered(ledger.read(0, 1), clock),
    });
    // A recorded world answers questions; it cannot carry out commands, and its attempts send none.
    const dispatcher = new Dispatcher({ ask: (question) => ingest.ask(question), send: () => {} });
    driver.onCommitted((entries) => dispatcher.committed(entries));
    const { deadLetters } = options;
    if (deadLetters !== undefined) driver.onCommitted((entries) => appendLetters(deadLetters, entries));
    for (const source of sources) await ingest.run(source);
    bad.conclude();
    return ingest.report;
  };
  return drive(work);
}

/** Recordings of one site are one history: the oldest comes first. Other files keep their places behind them. */
async function inOrder(sources: Source[]): Promise<Source[]> {
  const timed = await Promise.all(sources.map(async (source) => ({ source, t: await peekTime(source) })));
  return timed.sort((a, b) => a.t - b.t).map(({ source }) => source);
}

/** The first of them tell enough; the others are counted, and told by the dead letters. */
class BadLines {
  readonly #io: Io;
  #told = 0;

  constructor(io: Io) {
    this.#io = io;
  }

  tell(fault: Fault): void {
    this.#told += 1;
    if (this.#told <= BAD_LINES_TOLD) this.#io.err(faultText(fault, this.#io.errStyle));
  }

  conclude(): void {
    const untold = this.#told - BAD_LINES_TOLD;
    if (untold > 0) this.#io.err(`and ${untold} more: landfall dead-letters lists them all`);
  }
}

/** Only for whom it may concern: a terminal, and an ingest that takes its time. */
function progress(io: Io): (at: { name: string; lines: number }) => void {
  let shown = io.now();
  return ({ name, lines }) => {
    if (io.now() - shown < 1000) return;
    shown = io.now();
    io.err(`${name}: ${lines} lines`);
  };
}

function appendLetters(file: string, entries: readonly Entry[]): void {
  const letters = deadLettersOf(entries);
  if (letters.length > 0) appendFileSync(file, letters.map((letter) => `${JSON.stringify(letter)}\n`).join(''));
}

async function failOnContested(db: string): Promise<void> {
  const contested = await reading(db, (now) => countsByState(now.db).filter((row) => row.contested));
  const count = contested.reduce((sum, row) => sum + row.count, 0);
  if (count > 0) throw new Found(`${count} attempt(s) contested`);
}
