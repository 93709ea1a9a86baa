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
    .summary('runs the service: HTTP, deadlines, work for agents')
    .description(
      'Runs the service beside an orchestrator: it receives events over HTTP and hands out questions and commands. A setting ' +
        'can also come from the environment (LANDFALL_PORT=…) or a JSON file; flags override the environment, and the ' +
        'environment overrides the file.',
    )
    .option('--db <file>', 'the ledger file')
    .option('--host <address>', 'the address to listen on')
    .option('--port <number>', 'the port to listen on; 0 takes a free port')
    .option('--tokens <file>', 'the file of access tokens, with the lines that landfall token prints')
    .option('--tls-cert <file>', 'the certificate chain, PEM')
    .option('--tls-key <file>', 'its key, PEM')
    .option('--tls-client-ca <file>', 'the CA that signs client certificates, PEM')
    .option('--no-recordings', 'do not play the shipped recordings if the ledger is empty')
    .option('--log-level <level>', 'fatal, error, warn, info, debug or silent')
    .addHelpText(
      'after',
      examples(
        ['landfall serve', 'for the users of this machine'],
        ['landfall serve --host 0.0.0.0 --tokens tokens.txt', 'for other machines, with tokens'],
        ['landfall serve --kafka-brokers b1:9092,b2:9092', 'one of several instances'],
      ),
    )
    .action((flags: SettingFlags) => serve(flags, io));
}

async function serve(flags: SettingFlags, io: Io): Promise<void> {
  endAtSignal();
  // commander sets `recordings: true` if --no-recordings is absent; only `false` is an explicit setting.
  const settings = settingsOf({ ...flags, recordings: flags['recordings'] === false ? false : undefined }, io);
  keepHeapSmall(settings.kafkaBrokers === undefined ? 'file' : 'kafka');
  const running = await startService(settings);
  const stopped = stopSignal();
  process.on('SIGHUP', () => reload(running, io));
  io.out(`${io.style.paint('bold', 'Landfall')} listens on ${running.url}, ledger ${ledgerName(settings)}`);
  // A failed demo must not stop the service.
  const guarding = showDemo(settings, running, io).catch((error: unknown) => {
    io.err(faultText(toFault(error), io.errStyle));
  });
  await Promise.race([stopped, guarding.then(() => stopped)]);
  io.err('stopping: finishing the accepted requests');
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
  io.err('the stop took too long, so the process exits now; acknowledged inputs are durable');
  process.exit(1);
}

function ledgerName({ kafkaBrokers, kafkaPrefix, db }: Settings): string {
  return kafkaBrokers === undefined ? db : `${kafkaPrefix}.ledger on ${kafkaBrokers.join(',')}`;
}

const STOP_SIGNALS = [
  ['SIGTERM', 143],
  ['SIGINT', 130],
] as const;
/** The first process of a container. The kernel ignores its signals unless the process handles them. */
const INIT_PID = 1;

/**
 * Lets a stop signal end a service that is still starting, because it has accepted nothing yet. The kernel's own action also works while
 * this thread waits for a system call, for example for the content of a named pipe; a handler in JavaScript would not.
 */
function endAtSignal(): void {
  for (const [signal, code] of STOP_SIGNALS) {
    process.removeAllListeners(signal);
    if (process.pid === INIT_PID) process.once(signal, () => process.exit(code));
  }
}

/** Resolves at the first stop signal. A second signal ends the process at once. */
function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const [signal] of STOP_SIGNALS) {
      // The running service must first finish its requests.
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
    [`curl -s '${url}/v1/migrations?ledger=demo'`, 'the verdicts of the recordings over HTTP'],
    [`npx landfall explain ${migration} --db ${demo}`, 'the questions, the answers and the deciding row'],
    [`npx landfall status --server ${url}`, 'the live ledger, empty until the first event'],
    [`curl -s ${url}/v1/openapi.json`, 'the HTTP API; docs/service.md explains it'],
  ] as const;
  const width = Math.max(...lines.map(([command]) => command.length));
  const rows = lines.map(([command, what]) => `  ${command.padEnd(width)}  ${what}`);
  return `\n${style.paint('bold', 'Next')}\n${rows.join('\n')}\n  Ctrl-C stops the service; acknowledged inputs are durable.`;
}

export function addToken(program: Command, io: Io): void {
  program
    .command('token')
    .summary('creates an access token and its line for --tokens')
    .description(
      'Prints a new access token, and the line with its hash for the file of `serve --tokens`. The token itself is not stored.',
    )
    .argument('<name>', 'the owner of the token; the ledger records it for operators')
    .requiredOption('--role <role>', 'read, ingest, operate, agent:HOST[,HOST…]; join several roles with +')
    .addHelpText(
      'after',
      examples(
        ['landfall token alice --role operate', 'an operator who may resolve and configure'],
        ['landfall token agent-a --role agent:host-a', 'the agent of one host'],
      ),
    )
    .action((name: string, { role }: { role: string }) => {
      const { token, line } = newToken(name, role);
      io.out(`token  ${token}`);
      io.out(`line   ${line}`);
    });
}
