import type { Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';

/** The settings for connections to the brokers. */
export type BrokerOptions = {
  /** The addresses (host:port) of some brokers, which name the remaining brokers of the cluster. */
  readonly brokers: readonly string[];
  /** The name of this program in the brokers' logs. */
  readonly clientId: string;
  readonly ssl?: ConnectionOptions | boolean | undefined;
  readonly sasl?: SaslOptions | undefined;
  /** Makes the connections instead of the default factory of the Kafka client. */
  readonly socketFactory?: SocketFactory | undefined;
};

export type SaslOptions = {
  readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
  readonly username: string;
  readonly password: string;
};

export type SocketFactory = (target: {
  readonly host: string;
  readonly port: number;
  readonly ssl: ConnectionOptions;
  readonly onConnect: () => void;
}) => Socket;

/** Receives the log messages of the client. */
export type KafkaLog = (level: 'error' | 'warn' | 'info' | 'debug', message: string, details: object) => void;

export type Topics = {
  readonly inputs: string;
  readonly ledger: string;
  readonly commands: string;
  readonly deadLetters: string;
};

/**
 * Returns the topics of one Landfall installation. Several installations can share a cluster under different prefixes.
 */
export function topicsOf(prefix: string): Topics {
  return {
    inputs: `${prefix}.inputs`,
    ledger: `${prefix}.ledger`,
    commands: `${prefix}.commands`,
    deadLetters: `${prefix}.dead-letters`,
  };
}

/** Returns the consumer group whose members share the partitions. */
export const groupOf = (prefix: string): string => `${prefix}.arbiter`;

/** Returns the name of a topic's partition, as the stream of an input position. */
export const streamOf = (topic: string, partition: number): string => `${topic}/${partition}`;
