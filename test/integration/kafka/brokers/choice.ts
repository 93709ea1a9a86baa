import { startCluster } from './cluster.ts';
import { isImageGiven, startContainer } from './containers.ts';
import { KafkaRuntime } from './runtime.ts';

/** Brokers to test with, and where they come from. */
export type Brokers = { readonly bootstrap: readonly string[]; readonly from: 'KAFKA_BROKERS' | 'container' | 'java' };

/** What has to be installed to have some. */
export type Missing = { readonly missing: string };

export type Started = Brokers & { stop(): Promise<void> };

/** Those that KAFKA_BROKERS names: they need no start. */
export function givenBrokers(): Brokers | undefined {
  const names = (process.env['KAFKA_BROKERS'] ?? '').split(',').map((name) => name.trim());
  const bootstrap = names.filter((name) => name !== '');
  return bootstrap.length === 0 ? undefined : { bootstrap, from: 'KAFKA_BROKERS' };
}

/** Starts a broker in a container, where a Docker daemon answers, or else with the Java that is there. */
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
