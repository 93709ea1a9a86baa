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
 * The brokers that all test files share: those of KAFKA_BROKERS, or one in a container, or one run by Java. Null, and a line
 * that says what to install, where there is neither. Use names of your own for topics and groups: see `uniqueName`.
 * @throws Error where one is there and does not start; and on CI also where there is none.
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
 * Whether `startCluster` can work, with all that it needs fetched, so that no hook waits for that; else false, and the line.
 * @throws Error where fetching fails; and on CI where Java or Maven are missing.
 */
export async function canStartClusters(): Promise<boolean> {
  const missing = await KafkaRuntime.missing();
  if (missing !== undefined) return skipped(missing) ?? false;
  await prepareClusters();
  return true;
}

/** A name for a topic or group that nobody else uses. */
export const uniqueName = (what: string): string => `${what}-${crypto.randomUUID().slice(0, 8)}`;

/** One loud line. */
function skipped(install: string): null {
  if (isCi()) throw new Error(`NO KAFKA: install ${install}.`);
  console.warn(`NO KAFKA, so its tests are SKIPPED: install ${install}.`);
  return null;
}

const isCi = () => !['', 'false', undefined].includes(process.env['CI']);
