import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { withLock } from './lock.ts';
import { findJava, hasMaven, type Java, run } from './programs.ts';

/**
 * Apache Kafka on this machine: the Java program, and jars that Maven downloads once into a cache folder. An archive of loaded
 * classes next to the jars halves the start time of a broker.
 */

const POM = join(import.meta.dirname, 'pom.xml');
const LOG_SETTINGS = join(import.meta.dirname, 'log4j2.properties');
const CACHE = join(import.meta.dirname, '../../../../node_modules/.cache/landfall-kafka');

/** JVM flags for a small heap and a quick start, because a test's broker lives for seconds. */
const FLAGS = [
  '-Xms256m',
  '-Xmx256m',
  '-XX:+UseSerialGC',
  '-XX:TieredStopAtLevel=1',
  '-XX:-UsePerfData',
  '-Xlog:disable',
  '-Xlog:all=error:stderr',
  `-Dlog4j2.configurationFile=${LOG_SETTINGS}`,
];

export class KafkaRuntime {
  readonly java: Java;
  readonly #classPath: string;
  readonly archive: string;

  private constructor(java: Java, folder: string) {
    const libs = join(folder, 'libs');
    this.java = java;
    this.#classPath = readdirSync(libs)
      .toSorted()
      .map((jar) => join(libs, jar))
      .join(':');
    this.archive = join(folder, `classes-${java.version}-${process.arch}.jsa`);
  }

  /** Returns the arguments that run a Kafka class. `record` is the file for an archive of the loaded classes. */
  args(main: string, options: readonly string[], record?: string): string[] {
    const sharing =
      record !== undefined
        ? [`-XX:ArchiveClassesAtExit=${record}`]
        : existsSync(this.archive)
          ? [`-XX:SharedArchiveFile=${this.archive}`]
          : [];
    return [...FLAGS, ...sharing, '-cp', this.#classPath, main, ...options];
  }

  /** Returns the program to install before Kafka can run here; undefined if everything is installed. */
  static async missing(): Promise<string | undefined> {
    if ((await findJava()) === undefined) return 'Java 17 or newer (Debian: apt-get install openjdk-17-jre-headless)';
    if (existsSync(join(folderOf(), 'libs')) || (await hasMaven())) return undefined;
    return 'Maven (Debian: apt-get install maven)';
  }

  /** Downloads the jars if they are missing, and lets `warmUp` record the class archive. @throws Error */
  static async prepare(warmUp: (runtime: KafkaRuntime, record: string) => Promise<void>): Promise<KafkaRuntime> {
    const missing = await KafkaRuntime.missing();
    const java = await findJava();
    if (missing !== undefined || java === undefined) throw new Error(`Apache Kafka needs ${missing ?? 'Java'}`);
    const folder = folderOf();
    return withLock(`${folder}.lock`, async () => {
      await fetchJars(folder);
      const runtime = new KafkaRuntime(java, folder);
      if (!existsSync(runtime.archive)) await recordArchive(runtime, warmUp);
      return runtime;
    });
  }
}

/** Returns the cache folder. Its name contains the Kafka version and a hash of the pom. */
function folderOf(): string {
  const pom = readFileSync(POM, 'utf8');
  const version = /<kafka\.version>(.+)<\/kafka\.version>/.exec(pom)?.[1] ?? 'unknown';
  return join(CACHE, `${version}-${createHash('sha256').update(pom).digest('hex').slice(0, 8)}`);
}

/** Downloads the jars into a partial folder and renames it, so that the final folder is always complete. */
async function fetchJars(folder: string): Promise<void> {
  const libs = join(folder, 'libs');
  if (existsSync(libs)) return;
  const partial = join(folder, 'fetching');
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial, { recursive: true });
  try {
    const where = `-DoutputDirectory=${partial}`;
    await run('mvn', ['-B', '-q', '-ntp', '-f', POM, 'dependency:copy-dependencies', '-DincludeScope=runtime', where]);
    renameSync(partial, libs);
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
}

/** A failure is only a warning: a broker without the archive starts slower but works. */
async function recordArchive(
  runtime: KafkaRuntime,
  warmUp: (runtime: KafkaRuntime, record: string) => Promise<void>,
): Promise<void> {
  const partial = `${runtime.archive}.${process.pid}`;
  try {
    await warmUp(runtime, partial);
    renameSync(partial, runtime.archive);
  } catch (error) {
    console.warn(`Kafka starts without an archive of classes: ${String(error)}`);
  } finally {
    rmSync(partial, { force: true });
  }
}
