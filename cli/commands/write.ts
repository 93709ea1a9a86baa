import { randomUUID } from 'node:crypto';
import type { Command } from 'commander';
import { ConfigurationFields, defaultConfiguration } from '../../events/configuration.ts';
import { Fault } from '../../events/fault.ts';
import { isOneChoice } from '../../events/inputs.ts';
import { WALL } from '../../events/vocabulary.ts';
import { submit } from '../../producers/submit.ts';
import { attemptState, migrationView } from '../../projections/attempts.ts';
import { attemptsWithEarlierSettings } from '../../projections/earlier-settings.ts';
import { configuration } from '../../projections/site.ts';
import type { Io } from '../io.ts';
import { withWriter, withLedger } from '../ledger-file.ts';
import { configurationTable, keepingText } from '../render/config.ts';
import { migrationsTable } from '../render/migrations.ts';
import { Remote } from '../remote.ts';
import { dbOption, emptyOption, examples, jsonOption, type ReadOptions, serverOption } from './options.ts';

/** Defines the commands that change decisions: the resolution by an operator, and the configuration. */

const SOURCE = 'landfall:cli';
const DECIMAL = /^-?\d+(\.\d+)?$/;

export function addResolve(program: Command, io: Io): void {
  program
    .command('resolve')
    .summary('settles a contested attempt by an operator’s decision')
    .description(
      'Settles a contested or provisional attempt: you name the host of the guest. --attest is required and confirms that you ' +
        'checked the other host and it does not run the guest. With --stopped you say that the guest is stopped on every host; ' +
        'Landfall then destroys nothing. A named host is asked first, and the resolution is refused if the host lacks the guest. ' +
        'With --step you settle a single stuck step, which then counts as done. The ledger records reason, operator and attestation.',
    )
    .argument('<attempt>', 'the id of the attempt, from landfall migrations')
    .option('--host <host>', 'the host of the guest')
    .option('--stopped', 'the guest is stopped on every host')
    .option('--step <command>', 'the id of a stuck step, from landfall explain; it counts as done')
    .requiredOption('--reason <text>', 'the reason for your decision')
    .option('--attest', 'confirm that no other host runs the guest')
    .option('--operator <name>', 'the name of the deciding operator', process.env['USER'] ?? 'operator')
    .addOption(dbOption())
    .addOption(serverOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples([
        'landfall resolve m-1 --host host-a --reason "console checked, host-b is off" --attest',
        'settle m-1: the guest is on host-a',
      ]),
    )
    .action((attempt: string, options: ResolveOptions) => resolve(attempt, options, io));
}

type ResolveOptions = ReadOptions & {
  host?: string;
  stopped?: true;
  step?: string;
  reason: string;
  attest?: true;
  operator: string;
};

async function resolve(migration: string, options: ResolveOptions, io: Io): Promise<void> {
  for (const name of ['host', 'step', 'reason', 'operator'] as const) if (options[name] === '') throw emptyOption(name);
  if (!isOneChoice({ host: options.host, stopped: options.stopped, command: options.step }))
    throw new Fault('BAD_OPTION', 'the resolution needs one of --host, --stopped and --step', 'Use one of the three.');
  const view =
    options.server === undefined
      ? await resolveInFile(migration, options, io)
      : await resolveAt(new Remote(options.server, io.env), migration, options);
  if (options.json === true) io.out(JSON.stringify(view));
  else io.out(migrationsTable(view === null ? [] : [view], io.style));
}

async function resolveAt(remote: Remote, migration: string, options: ResolveOptions) {
  const { reason, attest, operator } = options;
  const named = remote.isNamed ? {} : { operator };
  return remote.resolve(migration, { ...subjectOf(options), reason, attest: attest === true, ...named });
}

/** The subject of the resolution: the host of the guest, a stopped guest, or a stuck step. */
function subjectOf({ host, stopped, step }: ResolveOptions): { host?: string; stopped?: true; command?: string } {
  return {
    ...(host === undefined ? {} : { host }),
    ...(stopped === true ? { stopped } : {}),
    ...(step === undefined ? {} : { command: step }),
  };
}

async function resolveInFile(migration: string, options: ResolveOptions, io: Io) {
  const found = await withLedger(options.db, ({ db }) => attemptState(db, migration));
  if (found === null)
    throw new Fault(
      'UNKNOWN_ATTEMPT',
      `there is no attempt ${migration}`,
      'Run landfall migrations to list the attempts.',
    );
  const { vm, clock } = found.state.attempt;
  const { reason, operator } = options;
  const data = { migration, ...subjectOf(options), reason, attest: options.attest === true, operator };
  const type = 'landfall.migration.resolved.v1';
  await withWriter(options.db, (driver) =>
    submit(driver, { type, vm, data, id: randomUUID(), source: SOURCE }, { now: io.now(), clock }),
  );
  return withLedger(options.db, ({ db }) => migrationView(db, migration));
}

export function addConfig(program: Command, io: Io): void {
  const config = program
    .command('config')
    .summary('shows and changes the decision settings')
    .description(
      'Shows and changes the settings that decisions depend on. The ledger records each change; attempts whose call has returned keep their settings.',
    );
  config
    .command('get')
    .description('shows the present settings')
    .argument('[key]', 'the name of a setting; without it, all settings')
    .addOption(dbOption())
    .addOption(serverOption())
    .addOption(jsonOption())
    .action((key: string | undefined, options: ReadOptions) => getConfig(key, options, io));
  config
    .command('set')
    .description('changes settings; separate list values with commas')
    .argument('<key=value...>')
    .option('--operator <name>', 'the name of the deciding operator', process.env['USER'] ?? 'operator')
    .addOption(dbOption())
    .addOption(serverOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples(
        [
          'landfall config set recheckIntervalSeconds=5 recheckTimeoutSeconds=120',
          'recheck more often, with an earlier deadline',
        ],
        ['landfall config set askOriginErrorCodes=SYS.1006,HOST.1000', 'error codes that ask the origin again'],
      ),
    )
    .action((pairs: string[], options: ReadOptions & { operator: string }) => setConfig(pairs, options, io));
}

async function getConfig(key: string | undefined, options: ReadOptions, io: Io): Promise<void> {
  const settings =
    options.server === undefined
      ? await withLedger(options.db, ({ db }) => configuration(db))
      : await new Remote(options.server, io.env).configuration();
  const chosen = key === undefined ? settings : { [knownKey(key)]: settings[knownKey(key)] };
  io.out(options.json === true ? JSON.stringify(chosen) : configurationTable(chosen, io.style));
}

async function setConfig(pairs: string[], options: ReadOptions & { operator: string }, io: Io): Promise<void> {
  const change = changeOf(pairs);
  if (options.operator === '') throw emptyOption('operator');
  const type = 'landfall.configuration.set.v1';
  const data = { change, operator: options.operator };
  let keeping: readonly string[];
  if (options.server === undefined) {
    await withWriter(options.db, (driver) =>
      submit(driver, { type, vm: null, data, id: randomUUID(), source: SOURCE }, { now: io.now(), clock: WALL }),
    );
    keeping = await withLedger(options.db, ({ db }) => attemptsWithEarlierSettings(db, configuration(db)));
  } else {
    const remote = new Remote(options.server, io.env);
    const changed = await remote.configure(change, remote.isNamed ? undefined : options.operator);
    keeping = changed.attemptsWithEarlierSettings ?? [];
  }
  await getConfig(undefined, options, io);
  if (keeping.length > 0) io.err(keepingText(keeping));
}

function changeOf(pairs: string[]): Record<string, unknown> {
  const change: Record<string, unknown> = {};
  for (const [key, value] of pairs.map(parsePair)) {
    if (Object.hasOwn(change, key)) throw new Fault('BAD_OPTION', `${key} is given twice`, 'Give each setting once.');
    change[key] = value;
  }
  return change;
}

function parsePair(pair: string): [string, unknown] {
  const at = pair.indexOf('=');
  if (at < 1)
    throw new Fault(
      'BAD_OPTION',
      `${JSON.stringify(pair)} is not key=value`,
      'Write it like recheckIntervalSeconds=5.',
    );
  const key = knownKey(pair.slice(0, at));
  const text = pair.slice(at + 1);
  if (Array.isArray(defaultConfiguration[key]))
    return [key, text === '' ? [] : text.split(',').map((part) => part.trim())];
  if (!DECIMAL.test(text))
    throw new Fault(
      'BAD_CONFIGURATION',
      `${key}: ${JSON.stringify(text)} is not a number`,
      'Give a number; times are in seconds.',
    );
  return [key, inRange(key, Number(text))];
}

function inRange(key: keyof typeof defaultConfiguration, value: number): number {
  const issue = ConfigurationFields.shape[key].safeParse(value).error?.issues[0];
  if (issue === undefined) return value;
  throw new Fault(
    'BAD_CONFIGURATION',
    `${key}: ${issue.message.replace(/^.*?: /, '')}, not ${value}`,
    'Run landfall config get to see the present settings.',
  );
}

function knownKey(key: string): keyof typeof defaultConfiguration {
  const known = Object.keys(ConfigurationFields.shape).find((candidate) => candidate === key);
  if (known === undefined) {
    throw new Fault(
      'BAD_CONFIGURATION',
      `there is no setting ${JSON.stringify(key)}`,
      `The settings are: ${Object.keys(ConfigurationFields.shape).join(', ')}.`,
    );
  }
  return known as keyof typeof defaultConfiguration;
}
