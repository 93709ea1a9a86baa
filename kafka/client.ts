import type {
  Admin,
  Consumer,
  ConsumerRunConfig,
  ICustomPartitioner,
  logCreator,
  Producer,
  RetryOptions,
} from 'kafkajs';
import { setTimeout as wait } from 'node:timers/promises';
import { kafkaFault } from './faults.ts';
import './codecs.ts';
import { Kafka, logLevel } from './kafkajs.ts';
import type { BrokerOptions, KafkaLog } from './options.ts';
import { socketFactory as sharedLookups } from './sockets.ts';

/** kafkajs as it is used here: with waits that fit transactions, and its log going where ours goes. */

/**
 * CONCURRENT_TRANSACTIONS and elections are waited for with these. The first wait is short: a partition's next
 * transaction often comes before the brokers have marked the end of the last one, which takes them a millisecond, and with the
 * 300 ms that kafkajs has by default it commits six times a second. All together are 2 s. (`retries: 0` would hang it.)
 */
const RETRY: RetryOptions = { initialRetryTime: 1, maxRetryTime: 250, factor: 0.2, multiplier: 1.6, retries: 18 };

const CONNECT_MS = 3000;
const REQUEST_MS = 15_000;

/** kafkajs 2.2.4 starts a timer with a negative delay, which does no harm, and of which Node warns on stderr. */
let isQuiet = false;
function quietly(): void {
  if (isQuiet) return;
  isQuiet = true;
  const emit = process.emitWarning.bind(process) as (...args: unknown[]) => void;
  process.emitWarning = (...args: unknown[]) => {
    if (!args.includes('TimeoutNegativeWarning')) emit(...args);
  };
}

export function connectTo(
  { brokers, clientId, ssl, sasl, socketFactory = sharedLookups }: BrokerOptions,
  log: KafkaLog = () => {},
): Kafka {
  quietly();
  return new Kafka({
    clientId,
    brokers: [...brokers],
    ...(ssl === undefined ? {} : { ssl }),
    ...(sasl === undefined ? {} : { sasl: { ...sasl } }), // kafkajs writes into it
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

/** Every record that is sent here names its partition; kafkajs would hash all their keys nevertheless. */
export const byPartition: ICustomPartitioner =
  () =>
  ({ message: { partition = 0 } }) =>
    partition;

/** Does something with an administrator's connection, and closes it. @throws Fault KAFKA_…. */
export async function administer<T>(kafka: Kafka, work: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = kafka.admin();
  try {
    await admin.connect();
    return await work(admin);
  } catch (error) {
    throw kafkaFault(error);
  } finally {
    await admin.disconnect().catch(() => {});
  }
}

/** Waits no longer than so long: the client tries again for minutes, and says nothing meanwhile. @throws what `late` makes. */
export async function within<T>(ms: number, work: Promise<T>, late: () => Error): Promise<T> {
  const over = Promise.withResolvers<never>();
  const timer = setTimeout(() => over.reject(late()), ms);
  try {
    return await Promise.race([work, over.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Closes what may be broken, or waiting for a broker that is gone: never longer than a moment. */
export async function abandon(connected: Pick<Producer | Consumer | Admin, 'disconnect'>): Promise<void> {
  await briefly(connected.disconnect());
}

/** Waits for the end of something whose outcome does not matter any more, and no longer than a moment. */
export async function briefly(work: Promise<unknown>): Promise<void> {
  const ended = work.then(
    () => {},
    () => {},
  );
  await Promise.race([ended, wait(CONNECT_MS, undefined, { ref: false })]);
}

/**
 * Connects, subscribes and runs. One that is given up on the way is abandoned by itself: kafkajs knows no end of a consumer that
 * is still connecting, and would make a member of it that nobody listens to.
 * @returns whether it runs and is still wanted.
 * @throws what ended it: kafkajs says nothing where the group could not be joined, but for its event.
 */
export async function runConsumer(
  consumer: Consumer,
  topics: readonly string[],
  config: ConsumerRunConfig,
  isWanted: () => boolean,
): Promise<boolean> {
  const crashes: Error[] = [];
  const forget = consumer.on(consumer.events.CRASH, ({ payload: { error } }) => crashes.push(error));
  try {
    await consumer.connect();
    if (isWanted()) await consumer.subscribe({ topics: [...topics], fromBeginning: true });
    if (isWanted()) await consumer.run(config);
    const [crash] = crashes;
    if (crash !== undefined) throw crash;
    const runs = isWanted();
    if (!runs) await abandon(consumer);
    return runs;
  } catch (error) {
    await abandon(consumer);
    throw error;
  } finally {
    forget();
  }
}

/** What kafkajs calls an error or a warning, and is either everyday or told by whoever asked for it. */
const EVERYDAY =
  /^(Response |Crash: |Connection |Failed to connect|Request .* timed out|The group is rebalancing|KafkaJS v2\.0\.0 switched|Limiting retries for the idem)/;

function forwarding(log: KafkaLog): logCreator {
  return () =>
    ({ level, log: { message, timestamp: _timestamp, logger: _logger, ...details } }) => {
      if (EVERYDAY.test(message)) return log('debug', message, details);
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
