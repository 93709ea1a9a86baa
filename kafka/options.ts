import type { ISocketFactory, SASLOptions } from 'kafkajs';
import type { ConnectionOptions } from 'node:tls';

/** How to reach the brokers. */
export type BrokerOptions = {
  /** host:port of some of them; the others are learnt from these. */
  readonly brokers: readonly string[];
  /** Names this program in the brokers' logs. */
  readonly clientId: string;
  readonly ssl?: ConnectionOptions | boolean | undefined;
  readonly sasl?: SASLOptions | undefined;
  /** How connections are made, where not as kafkajs makes them. */
  readonly socketFactory?: ISocketFactory | undefined;
};

/** What happens between this program and the brokers, for a log. */
export type KafkaLog = (level: 'error' | 'warn' | 'info' | 'debug', message: string, details: object) => void;

export type Topics = {
  readonly inputs: string;
  readonly ledger: string;
  readonly commands: string;
  readonly deadLetters: string;
};

/** The topics of one Landfall: several may share brokers under different prefixes. */
export function topicsOf(prefix: string): Topics {
  return {
    inputs: `${prefix}.inputs`,
    ledger: `${prefix}.ledger`,
    commands: `${prefix}.commands`,
    deadLetters: `${prefix}.dead-letters`,
  };
}

/** The consumer group whose members share the partitions. */
export const groupOf = (prefix: string): string => `${prefix}.arbiter`;

/** What stands as the stream's name in an input's position: a partition of a topic. */
export const streamOf = (topic: string, partition: number): string => `${topic}/${partition}`;
