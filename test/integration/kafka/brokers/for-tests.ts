import { z } from 'zod';
import { type Brokers, givenBrokers } from './choice.ts';
import { prepareClusters } from './cluster.ts';
import { DOOR } from './door.ts';
import { KafkaRuntime } from './runtime.ts';

const Answer = z.union([
  z.object({ bootstrap: z.array(z.string()).min(1), from: z.enum(['container', 'java']) }),
  z.object({ missing: z.string() }),
  z.object({ failed: z.string() }),
]);

/**
 * Returns the brokers that all test files share: those of KAFKA_BROKERS, or one in a container, or one on Java. Returns null and
 * prints what to install if none of them is possible. Topics and groups need a name from `uniqueName`. @throws Error if a broker
 * does not start; with CI set also if none can be started.
 */
export async function brokersForTests(): Promise<Brokers | null> {
  const given = givenBrokers();
  if (given !== undefined) return given;
  const door = process.env[DOOR];
  if (door === undefined) throw new Error('vitest.config.ts does not name global-setup.ts');
  const answer = Answer.parse(await (await fetch(door)).json());
  if ('failed' in answer) throw new Error(answer.failed);
  return 'missing' in answer ? skipped(`${answer.missing}, or start Docker, or set KAFKA_BROKERS=host:port`) : answer;
}

/**
 * Returns true if `startCluster` can work. Fetches the required jars, so that no hook waits for a download. Returns false and
 * prints what to install if Java or Maven are missing. @throws Error if the download fails; with CI set also if Java or Maven are
 * missing.
 */
export async function canStartClusters(): Promise<boolean> {
  const missing = await KafkaRuntime.missing();
  if (missing !== undefined) return skipped(missing) ?? false;
  await prepareClusters();
  return true;
}

/** Returns a name for a topic or group that no other test uses. */
export const uniqueName = (what: string): string => `${what}-${crypto.randomUUID().slice(0, 8)}`;

/** Prints one warning. @throws Error with CI set. */
function skipped(install: string): null {
  if (isCi()) throw new Error(`NO KAFKA: install ${install}.`);
  console.warn(`NO KAFKA, so its tests are SKIPPED: install ${install}.`);
  return null;
}

const isCi = () => !['', 'false', undefined].includes(process.env['CI']);
