import { startCluster } from './cluster.ts';
import { isImageGiven, startContainer } from './containers.ts';
import { KafkaRuntime } from './runtime.ts';

/** The addresses of brokers for tests, and their origin. */
export type Brokers = { readonly bootstrap: readonly string[]; readonly from: 'KAFKA_BROKERS' | 'container' | 'java' };

/** The programs to install before a broker can be started. */
export type Missing = { readonly missing: string };

export type Started = Brokers & { stop(): Promise<void> };

/** Returns the brokers named in KAFKA_BROKERS. These brokers run already. */
export function givenBrokers(): Brokers | undefined {
  const names = (process.env['KAFKA_BROKERS'] ?? '').split(',').map((name) => name.trim());
  const bootstrap = names.filter((name) => name !== '');
  return bootstrap.length === 0 ? undefined : { bootstrap, from: 'KAFKA_BROKERS' };
}

/** Starts a broker in a container if a Docker daemon answers, otherwise with the installed Java. */
export async function startBrokers(): Promise<Started | Missing> {
  const container = await startContainer().catch((error: unknown) => {
    if (isImageGiven) throw error;
    console.warn(`A Docker daemon answers, but no Kafka starts there: ${String(error)}`);
    return undefined;
  });
  if (container !== undefined) return { ...container, from: 'container' };
  const missing = await KafkaRuntime.missing();
  if (missing !== undefined) return { missing };
  const cluster = await startCluster();
  return { bootstrap: cluster.bootstrap, from: 'java', stop: () => cluster.stop() };
}
