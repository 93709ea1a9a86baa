import type { Command } from 'commander';
import { Fault } from '../events/fault.ts';
import { type KafkaAccess, kafkaAccess } from '../service/kafka-access.ts';
import { readSettings, type Settings } from '../service/settings.ts';
import type { Io } from './io.ts';

/** Reads the service settings for commands: flags override the environment, which overrides the file. */

export type SettingFlags = Record<string, string | boolean | string[] | undefined> & {
  config?: string;
  set?: string[];
};

export function addSettingOptions(command: Command): Command {
  return command
    .option('--config <file>', 'settings as a JSON object (LANDFALL_CONFIG)')
    .option('--set <setting=value...>', 'any other setting, for example recheckIntervalSeconds=5');
}

export function addKafkaOptions(command: Command): Command {
  return command
    .option('--kafka-brokers <host:port,...>', 'some of the brokers; the ledger is then a Kafka topic')
    .option('--kafka-prefix <name>', 'the prefix of the topic names (default: landfall)');
}

/** @throws Fault BAD_SETTING. */
export function settingsOf({ config, set, ...flags }: SettingFlags, io: Io): Settings {
  const plain = Object.entries(flags).filter((flag): flag is [string, string | boolean] => !Array.isArray(flag[1]));
  const given = { ...Object.fromEntries(plain), ...pairs(set ?? []) };
  return readSettings({ flags: given, env: io.env, file: config ?? io.env['LANDFALL_CONFIG'] });
}

/** @throws Fault BAD_SETTING if no brokers are configured. */
export function requireKafka(settings: Settings): KafkaAccess {
  const access = kafkaAccess(settings);
  if (access !== null) return access;
  throw new Fault(
    'BAD_SETTING',
    'no brokers are configured',
    'Give --kafka-brokers HOST:PORT,… or LANDFALL_KAFKA_BROKERS.',
  );
}

function pairs(set: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    set.map((pair) => {
      const at = pair.indexOf('=');
      if (at < 1)
        throw new Fault(
          'BAD_SETTING',
          `--set: ${JSON.stringify(pair)} is not setting=value`,
          'Write it like recheckIntervalSeconds=5.',
        );
      return [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
}
