import { appendFileSync, statSync } from 'node:fs';
import type { Command } from 'commander';
import { fileSource, Ingest, type IngestReport, type Source, stdinSource } from '../../consumers/ingest.ts';
import type { Driver } from '../../engine/driver.ts';
import { recordingStartTime } from '../../consumers/recording/start-time.ts';
import type { Entry } from '../../events/entries.ts';
import { Fault } from '../../events/fault.ts';
import type { Ledger } from '../../log/port.ts';
import { deadLettersOf } from '../../producers/dead-letters.ts';
import { unansweredQuestions } from '../../consumers/recording/unanswered-questions.ts';
import { countsByState } from '../../projections/attempts.ts';
import { kafkaAccess, type KafkaAccess } from '../../service/kafka-access.ts';
import { BadLineReporter, progress } from '../bad-line-reporter.ts';
import { EXIT_WRONG_USE, FindingExit, type Io } from '../io.ts';
import { withWriter, withLedger } from '../ledger-file.ts';
import { ServerSink, withTopicSink } from '../event-sinks.ts';
import { Remote } from '../remote.ts';
import { ingestTotals, sendTotals, VerdictPrinter } from '../render/ingest-summary.ts';
import { type UploadReport, uploadFiles } from '../event-upload.ts';
import { addKafkaOptions, addSettingOptions, settingsOf } from '../settings.ts';
import { dbOption, examples, jsonOption } from './options.ts';

/** Runs work as the only writer of partition 0 of a ledger. */
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

/** The options of the command line: the file options plus the other destinations. */
type IngestFlags = IngestOptions & {
  server?: string;
  kafkaBrokers?: string;
  kafkaPrefix?: string;
  config?: string;
  set?: string[];
};

type Destination =
  | { readonly kind: 'file' }
  | { readonly kind: 'topic'; readonly access: KafkaAccess }
  | { readonly kind: 'server'; readonly url: string };

export function addIngest(program: Command, io: Io): void {
  addSettingOptions(addKafkaOptions(program.command('ingest')))
    .summary('adds recordings or CloudEvents to the ledger')
    .description(
      'Adds recorded migrations or CloudEvents 1.0 to the ledger, one JSON object per line (- reads stdin). ' +
        'A recording is played in its own time, and its hosts answer from the recording. ' +
        'Inputs that are already in the ledger change nothing, so run an interrupted ingest again to finish it. ' +
        'If brokers are configured (flag or LANDFALL_KAFKA_BROKERS) and --db is not given, CloudEvents go to the inputs ' +
        'topic, and the command prints the number of events that the brokers acknowledged.',
    )
    .argument('<file...>', 'ndjson files; - for stdin')
    .addOption(dbOption())
    .addOption(jsonOption())
    .option('--skip-bad', 'put bad lines into the dead letters and ingest the rest')
    .option('--dead-letters <file>', 'append refused inputs with their reasons, as ndjson')
    .option('--apart', 'give every recording its own VMs and attempts, named after the recording')
    .option('--fail-on <what...>', 'exit 1 if an attempt has this outcome: contested')
    .option('--no-verify', 'open the ledger even if its last entries are altered')
    .option('--server <url>', 'send CloudEvents to a running service (token from LANDFALL_TOKEN)')
    .addHelpText(
      'after',
      examples(
        ['landfall ingest recordings/abort.ndjson', 'play one recorded migration'],
        ['landfall ingest --skip-bad events.ndjson', 'ingest the good lines, keep bad lines as dead letters'],
        ['producer | landfall ingest -', 'CloudEvents from stdin'],
        ['landfall ingest --kafka-brokers b1:9092 events.ndjson', 'send CloudEvents to the inputs topic'],
      ),
    )
    .action((files: string[], flags: IngestFlags, command: Command) => {
      const to = destinationOf(flags, command.getOptionValueSource('db') === 'cli', io);
      return ingestCommand(files, flags, to, io);
    });
}

/**
 * Chooses the destination. A ledger file is used only if --db names it or no brokers are configured, so that events for
 * a Kafka cluster never end in a local file.
 */
function destinationOf(flags: IngestFlags, isFileNamed: boolean, io: Io): Destination {
  const { server, kafkaBrokers, kafkaPrefix, config, set } = flags;
  if ([isFileNamed, server !== undefined, kafkaBrokers !== undefined].filter(Boolean).length > 1)
    throw new Fault(
      'BAD_OPTION',
      '--db, --server and --kafka-brokers name different destinations',
      'Give only one of them.',
    );
  if (isFileNamed) return { kind: 'file' };
  if (server !== undefined) return { kind: 'server', url: server };
  const file = config === undefined ? {} : { config };
  const access = kafkaAccess(settingsOf({ kafkaBrokers, kafkaPrefix, set: set ?? [], ...file }, io));
  return access === null ? { kind: 'file' } : { kind: 'topic', access };
}

async function ingestCommand(files: string[], options: IngestOptions, to: Destination, io: Io): Promise<void> {
  const wrong = options.failOn?.find((what) => what !== 'contested');
  if (wrong !== undefined)
    throw new Fault('BAD_OPTION', `--fail-on: ${JSON.stringify(wrong)} is not an outcome`, 'Use --fail-on contested.');
  if (files.filter((file) => file === '-').length > 1)
    throw new Fault('BAD_OPTION', 'stdin (-) is given twice', 'Give - once: stdin can be read only once.');
  for (const file of files) {
    if (statSync(file, { throwIfNoEntry: false })?.isDirectory())
      throw new Fault('EISDIR', `${file} is a folder`, 'Give the files in the folder.');
  }
  // An unwritable --dead-letters file must fail before the first event is accepted.
  if (options.deadLetters !== undefined) appendFileSync(options.deadLetters, '');
  if (to.kind !== 'file') return sendCommand(files, options, to, io);
  const report = await ingestFiles(files, options, io);
  if (options.json === true) io.out(JSON.stringify({ ...report, endings: undefined }));
  else io.err(ingestTotals(report, io.errStyle));
  requireNoneRefused(report, options);
  if (options.failOn !== undefined) await failOnContested(options.db);
}

async function sendCommand(
  files: string[],
  options: IngestOptions,
  to: Exclude<Destination, { kind: 'file' }>,
  io: Io,
): Promise<void> {
  const { apart, failOn, verify, skipBad, deadLetters } = options;
  if (apart === true || failOn !== undefined || !verify) {
    const what = '--apart, --fail-on and --no-verify need a ledger file';
    throw new Fault('BAD_OPTION', what, 'Remove these options, or give a file with --db.');
  }
  const sources = files.map((file) => (file === '-' ? stdinSource() : fileSource(file)));
  const how = { skipBad: skipBad === true, deadLetters };
  const report = await (to.kind === 'server'
    ? uploadFiles(sources, new ServerSink(new Remote(to.url, io.env)), how, io)
    : withTopicSink(to.access, (receiver) => uploadFiles(sources, receiver, how, io)));
  if (options.json === true) io.out(JSON.stringify(report));
  else io.err(sendTotals(report, io.errStyle));
  requireNoneRefused(report, options);
}

function requireNoneRefused({ refused }: Pick<UploadReport, 'refused'>, { skipBad }: IngestOptions): void {
  if (refused > 0 && skipBad !== true)
    throw new FindingExit(`${refused} inputs were refused`, { cause: EXIT_WRONG_USE });
}

/** Ingests files in the order of their recordings' start times and prints each verdict when it is committed. */
export async function ingestFiles(
  files: string[],
  options: IngestOptions,
  io: Io,
  drive: Drive = (work) => withWriter(options.db, work, options.verify),
): Promise<IngestReport> {
  const sources = await inOrder(files.map((file) => (file === '-' ? stdinSource() : fileSource(file))));
  const print = options.json === true ? () => {} : io.out;
  const work = async (driver: Driver, ledger: Ledger) => {
    const verdicts = new VerdictPrinter(io.style, print);
    driver.onCommitted((entries) => verdicts.committed(entries));
    const bad = new BadLineReporter(io, 'landfall dead-letters lists all of them');
    const ingest = new Ingest(driver, {
      skipBad: options.skipBad === true,
      apart: options.apart === true,
      now: io.now,
      onBadLine: (fault) => bad.report(fault),
      onNotice: (text) => io.err(text),
      onProgress: progress(io),
      unanswered: (clock) => unansweredQuestions(ledger.read(0, 1), clock),
    });
    const { deadLetters } = options;
    if (deadLetters !== undefined) driver.onCommitted((entries) => appendLetters(deadLetters, entries));
    for (const source of sources) await ingest.run(source);
    bad.summarize();
    return ingest.report;
  };
  return drive(work);
}

/**
 * Sorts recordings by start time, because recordings of one site form one history. Other files keep their order and
 * come last.
 */
async function inOrder(sources: Source[]): Promise<Source[]> {
  const timed = await Promise.all(sources.map(async (source) => ({ source, t: await recordingStartTime(source) })));
  return timed.sort((a, b) => a.t - b.t).map(({ source }) => source);
}

function appendLetters(file: string, entries: readonly Entry[]): void {
  const letters = deadLettersOf(entries);
  if (letters.length > 0) appendFileSync(file, letters.map((letter) => `${JSON.stringify(letter)}\n`).join(''));
}

async function failOnContested(db: string): Promise<void> {
  const contested = await withLedger(db, (now) => countsByState(now.db).filter((row) => row.contested));
  const count = contested.reduce((sum, row) => sum + row.count, 0);
  if (count > 0) throw new FindingExit(`${count} attempts are contested`);
}
