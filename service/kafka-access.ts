import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { Fault, messageOf } from '../events/fault.ts';
import type { BrokerOptions, SaslOptions } from '../kafka/options.ts';
import type { Settings } from './settings.ts';

/** The Kafka connection options from the settings, and the folder of this instance's replicas. */

export type KafkaAccess = BrokerOptions & {
  readonly prefix: string;
  readonly folder: string;
};

/** Returns null when the ledger is a local file. @throws Fault BAD_SETTING when a file cannot be read. */
export function kafkaAccess(settings: Settings): KafkaAccess | null {
  const { kafkaBrokers, kafkaPrefix, kafkaInstance, db } = settings;
  if (kafkaBrokers === undefined) return null;
  return {
    brokers: kafkaBrokers,
    clientId: kafkaInstance ?? hostname().replace(/[^a-zA-Z0-9._-]/g, '-'),
    ssl: tls(settings),
    sasl: sasl(settings),
    prefix: kafkaPrefix,
    folder: join(dirname(db), `${kafkaPrefix}.copy`),
  };
}

function tls({ kafkaTls, kafkaCa, kafkaCert, kafkaKey }: Settings): BrokerOptions['ssl'] {
  if (kafkaCa === undefined && kafkaCert === undefined && kafkaKey === undefined) return kafkaTls ? true : undefined;
  return {
    ...(kafkaCa === undefined ? {} : { ca: readSetting(kafkaCa, 'kafkaCa') }),
    ...(kafkaCert === undefined ? {} : { cert: readSetting(kafkaCert, 'kafkaCert') }),
    ...(kafkaKey === undefined ? {} : { key: readSetting(kafkaKey, 'kafkaKey') }),
  };
}

function sasl(settings: Settings): SaslOptions | undefined {
  const { kafkaSasl: mechanism, kafkaUsername: username, kafkaPassword, kafkaPasswordFile } = settings;
  if (mechanism === undefined || username === undefined) return undefined;
  const password =
    kafkaPasswordFile === undefined
      ? (kafkaPassword ?? '')
      : readSetting(kafkaPasswordFile, 'kafkaPasswordFile').trim();
  return { mechanism, username, password };
}

/** @throws Fault BAD_SETTING. */
export function readSetting(file: string, setting: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new Fault('BAD_SETTING', `${setting}: ${messageOf(error)}`, 'Check the path and its permissions.', error);
  }
}
