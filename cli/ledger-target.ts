import type { Command } from 'commander';
import { Fault } from '../events/fault.ts';
import type { Io } from './io.ts';
import { type SettingFlags, settingsOf } from './settings.ts';

/**
 * Where a command goes that may ask a file or a running service: what is named on the command line is meant. Those that may
 * also go to the topics choose by themselves (`targetsTopic`).
 */
export function selectLedgerTarget(command: Command, io: Io): void {
  const takes = (option: string) => command.options.some(({ long }) => long === option);
  if (!takes('--db') || !takes('--server')) return;
  const isFileNamed = command.getOptionValueSource('db') === 'cli';
  if (isFileNamed && command.getOptionValueSource('server') === 'env') command.setOptionValue('server', undefined);
  if (!isFileNamed && !takes('--kafka-brokers') && command.getOptionValue('server') === undefined)
    requireFile(command, io);
}

/** Whether brokers are named and nothing else is, or nothing nearer. */
export function targetsTopic(flags: SettingFlags, command: Command, io: Io): boolean {
  if (flags['kafkaBrokers'] !== undefined) return true;
  if (flags['server'] !== undefined || command.getOptionValueSource('db') === 'cli') return false;
  return settingsOf(flags, io).kafkaBrokers !== undefined;
}

/**
 * What is meant for the instances must not end in a file that nobody reads, nor what is told come from one that they do not
 * write: where brokers are named, a file is used only if it is named as well. @throws Fault NEEDS_SERVER.
 */
function requireFile(command: Command, io: Io): void {
  if (settingsOf({}, io).kafkaBrokers === undefined) return;
  throw new Fault(
    'NEEDS_SERVER',
    `the ledger is a topic (kafkaBrokers), so ${command.getOptionValue('db')} is not what decides`,
    'Name an instance with --server URL or LANDFALL_SERVER; a file that is meant nevertheless with --db.',
  );
}
