import type { Command } from 'commander';
import { Fault } from '../events/fault.ts';
import type { Io } from './io.ts';
import { type SettingFlags, settingsOf } from './settings.ts';

/**
 * Chooses between a ledger file and a running service: options on the command line have precedence over the
 * environment. Commands that can also use topics call `targetsTopic`.
 */
export function selectLedgerTarget(command: Command, io: Io): void {
  const takes = (option: string) => command.options.some(({ long }) => long === option);
  if (!takes('--db') || !takes('--server')) return;
  const isFileNamed = command.getOptionValueSource('db') === 'cli';
  if (isFileNamed && command.getOptionValueSource('server') === 'env') command.setOptionValue('server', undefined);
  if (!isFileNamed && !takes('--kafka-brokers') && command.getOptionValue('server') === undefined)
    requireFile(command, io);
}

/**
 * Returns true if the command should use the topics: brokers are configured, and neither --db nor --server names
 * another ledger.
 */
export function targetsTopic(flags: SettingFlags, command: Command, io: Io): boolean {
  if (flags['kafkaBrokers'] !== undefined) return true;
  if (flags['server'] !== undefined || command.getOptionValueSource('db') === 'cli') return false;
  return settingsOf(flags, io).kafkaBrokers !== undefined;
}

/**
 * Requires --db or --server if brokers are configured, because the local file is not the ledger then.
 * @throws Fault NEEDS_SERVER.
 */
function requireFile(command: Command, io: Io): void {
  if (settingsOf({}, io).kafkaBrokers === undefined) return;
  throw new Fault(
    'NEEDS_SERVER',
    `brokers are configured (kafkaBrokers), so the ledger is a topic and not ${command.getOptionValue('db')}`,
    'Give an instance with --server URL or LANDFALL_SERVER, or a ledger file with --db.',
  );
}
