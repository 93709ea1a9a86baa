import type { Command } from 'commander';
import { migrations } from '../../projections/attempts.ts';
import { newToken } from '../../service/access/credentials.ts';
import { demoFileOf, hasDemo, type Running, startService } from '../../service/serve.ts';
import { keepHeapSmall } from '../../service/heap.ts';
import type { Settings } from '../../service/settings.ts';
import { toFault } from '../faults.ts';
import type { Io } from '../io.ts';
import { withLedger } from '../ledger-file.ts';
import { faultText } from '../render/errors.ts';
import { Fault } from '../../events/fault.ts';
import { addKafkaOptions, addSettingOptions, type SettingFlags, settingsOf } from '../settings.ts';
import { playRecordings } from './demo.ts';
import { examples } from './options.ts';

/** Defines `landfall serve` and `landfall token`. The service runs in the foreground until a stop signal. */

/** The extra time for commits at a stop; a partition claim can take this long if the brokers do not answer. */
const FINISH_MS = 30_000;
const LINGER_MS = 2000;

export function addServe(program: Command, io: Io): void {
  addKafkaOptions(addSettingOptions(program.command('serve')))
    .summary('the service: HTTP, live deadlines, work for agents')
    .description(
      'Runs the arbiter beside an orchestrator: events in over HTTP, questions and commands out. Every setting may also come ' +
        'from the environment (LANDFALL_PORT=…) or a JSON file; flags come first, then the environment, then the file.',
    )
    .option('--db <file>', 'the ledger')
    .option('--host <address>', 'where to listen')
    .option('--port <number>', 'where to listen; 0 takes any that is free')
    .option('--tokens <file>', 'who may do what: lines of landfall token')
    .option('--tls-cert <file>', 'certificate chain, PEM')
    .option('--tls-key <file>', 'its key, PEM')
    .option('--tls-client-ca <file>', 'who signs the certificates of clients, PEM')
    .option('--no-recordings', 'do not play the shipped recordings where the ledger is empty')
    .option('--log-level <level>', 'fatal, error, warn, info, debug or silent')
    .addHelpText(
      'after',
      examples(
        ['landfall serve', 'on this machine only, open to its users'],
        ['landfall serve --host 0.0.0.0 --tokens tokens.txt', 'for others, by token'],
        ['landfall serve --kafka-brokers b1:9092,b2:9092', 'one of several instances'],
      ),
    )
    .action((flags: SettingFlags) => serve(flags, io));
}

async function serve(flags: SettingFlags, io: Io): Promise<void> {
  // commander sets `recordings: true` if --no-recordings is absent; only `false` is an explicit setting.
  const settings = settingsOf({ ...flags, recordings: flags['recordings'] === false ? false : undefined }, io);
  keepHeapSmall(settings.kafkaBrokers === undefined ? 'file' : 'kafka');
  const stopped = stopSignal();
  const running = await startService(settings);
  process.on('SIGHUP', () => reload(running, io));
  io.out(`${io.style.paint('bold', 'Landfall')} listens on ${running.url}, ledger ${ledgerName(settings)}`);
  // A failed demo must not stop the service.
  const guarding = showDemo(settings, running, io).catch((error: unknown) => {
    io.err(faultText(toFault(error), io.errStyle));
  });
  await Promise.race([stopped, guarding.then(() => stopped)]);
  io.err('stopping: what was taken is being finished');
  const cut = setTimeout(() => giveUp(io), settings.shutdownSeconds * 1000 + FINISH_MS);
  try {
    await guarding;
    await running.stop();
  } finally {
    clearTimeout(cut);
  }
  // A Kafka client that still tries to reach its brokers would keep the process alive for a minute.
  setTimeout(() => process.exit(), LINGER_MS).unref();
}

/**
 * Ends the process like a kill: acknowledged inputs are durable, and the next start or another instance continues from
 * them.
 */
function giveUp(io: Io): void {
  io.err('not ended in time, so it is cut off: nothing that was acknowledged is lost');
  process.exit(1);
}

function ledgerName({ kafkaBrokers, kafkaPrefix, db }: Settings): string {
  return kafkaBrokers === undefined ? db : `${kafkaPrefix}.ledger on ${kafkaBrokers.join(',')}`;
}

/** Resolves at the first stop signal. A second signal ends the process at once. */
function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      // Other commands exit at a signal, because each commit is complete. The service must first finish its requests.
      process.removeAllListeners(signal);
      process.once(signal, () => resolve());
    }
  });
}

function reload(running: Running, io: Io): void {
  try {
    running.reloadTokens();
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    io.err(faultText(error, io.errStyle));
  }
}

/** Plays the shipped recordings into the demo ledger if the live ledger is empty, so that a new user sees results. */
async function showDemo(settings: Settings, running: Running, io: Io): Promise<void> {
  const file = demoFileOf(settings.db);
  if (running.isEmpty && settings.recordings) {
    io.out('');
    await playRecordings(file, io);
    await running.showDemo(file);
    const first = await withLedger(file, ({ db }) => migrations(db)[0]?.migration);
    io.out(whereToLook(running.url, first ?? 'ATTEMPT', settings.db, io));
  } else if (hasDemo(settings.db)) await running.showDemo(file);
}

function whereToLook(url: string, migration: string, db: string, { style }: Io): string {
  const demo = demoFileOf(db);
  const lines = [
    [`curl -s '${url}/v1/migrations?ledger=demo'`, 'these verdicts over HTTP'],
    [`npx landfall explain ${migration} --db ${demo}`, 'what was asked, what was answered, which row decided'],
    [`npx landfall status --server ${url}`, 'the live ledger: empty until the first event'],
    [`curl -s ${url}/v1/openapi.json`, 'everything it answers; docs/service.md says more'],
  ] as const;
  const width = Math.max(...lines.map(([command]) => command.length));
  const rows = lines.map(([command, what]) => `  ${command.padEnd(width)}  ${what}`);
  return `\n${style.paint('bold', 'Next')}\n${rows.join('\n')}\n  Ctrl-C stops it; nothing that was acknowledged is lost.`;
}

export function addToken(program: Command, io: Io): void {
  program
    .command('token')
    .summary('a new token, and the line that lets it in')
    .description(
      'Prints a new token to give away, and the line with its hash for the file of `serve --tokens`. The token is kept nowhere.',
    )
    .argument('<name>', 'whose it is; operators stand in the ledger with it')
    .requiredOption('--role <role>', 'read, ingest, operate, agent:HOST[,HOST…]; several joined by +')
    .addHelpText(
      'after',
      examples(
        ['landfall token alice --role operate', 'somebody who may resolve and configure'],
        ['landfall token agent-a --role agent:host-a', 'the agent of one host'],
      ),
    )
    .action((name: string, { role }: { role: string }) => {
      const { token, line } = newToken(name, role);
      io.out(`token  ${token}`);
      io.out(`line   ${line}`);
    });
}
