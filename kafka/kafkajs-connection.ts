import type { logCreator, RetryOptions, SASLOptions } from 'kafkajs';
import './codecs.ts';
import { Kafka, logLevel } from './kafkajs.ts';
import type { BrokerOptions, KafkaLog, SaslOptions } from './options.ts';
import { socketFactory as sharedLookups } from './sockets.ts';

/** The settings of kafkajs: retries that fit transactions, time limits, and a log that is forwarded to Landfall's log. */

/**
 * Retries of one request, 2 s in all. The first wait is 1 ms: brokers need about a millisecond to finish a transaction, and with
 * the 300 ms of kafkajs a partition commits only six transactions a second. (`retries: 0` would make kafkajs hang.)
 */
const RETRY: RetryOptions = { initialRetryTime: 1, maxRetryTime: 250, factor: 0.2, multiplier: 1.6, retries: 18 };

const CONNECT_MS = 3000;
const REQUEST_MS = 15_000;

let isWarningFiltered = false;

/** Hides one warning of Node: kafkajs 2.2.4 starts a timer with a negative delay, which is harmless. */
function filterTimerWarning(): void {
  if (isWarningFiltered) return;
  isWarningFiltered = true;
  const emit = process.emitWarning.bind(process) as (...args: unknown[]) => void;
  process.emitWarning = (...args: unknown[]) => {
    if (!args.includes('TimeoutNegativeWarning')) emit(...args);
  };
}

/** @returns kafkajs itself, for the adapters of this folder and for tests. */
export function kafkajsTo(
  { brokers, clientId, ssl, sasl, socketFactory = sharedLookups }: BrokerOptions,
  log: KafkaLog = () => {},
): Kafka {
  filterTimerWarning();
  return new Kafka({
    clientId,
    brokers: [...brokers],
    ...(ssl === undefined ? {} : { ssl }),
    ...(sasl === undefined ? {} : { sasl: saslOf(sasl) }),
    socketFactory,
    connectionTimeout: CONNECT_MS,
    authenticationTimeout: CONNECT_MS,
    requestTimeout: REQUEST_MS,
    enforceRequestTimeout: true,
    retry: RETRY,
    logLevel: logLevel.WARN,
    logCreator: forwarding(log),
  });
}

/** Returns a new object each time, because kafkajs modifies the object. */
function saslOf({ mechanism, username, password }: SaslOptions): SASLOptions {
  return { mechanism, username, password };
}

/** Messages that kafkajs logs as errors or warnings, but that are normal or also reported as an error of the call. */
const EXPECTED_MESSAGE =
  /^(Response |Crash: |Connection |Failed to connect|Request .* timed out|The group is rebalancing|KafkaJS v2\.0\.0 switched|Limiting retries for the idem)/;

function forwarding(log: KafkaLog): logCreator {
  return () =>
    ({ level, log: { message, timestamp: _timestamp, logger: _logger, ...details } }) => {
      if (EXPECTED_MESSAGE.test(message)) return log('debug', message, details);
      switch (level) {
        case logLevel.ERROR:
          return log('error', message, details);
        case logLevel.WARN:
          return log('warn', message, details);
        case logLevel.INFO:
          return log('info', message, details);
        default:
          return log('debug', message, details);
      }
    };
}
