import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { withLock } from './lock.ts';
import { findJava, hasMaven, type Java, run } from './programs.ts';

/**
 * Apache Kafka on this machine: its jars, fetched once by Maven into a folder that later runs find again, and the Java that runs
 * them. Beside the jars lies an archive of loaded classes, with which a broker starts in half the time.
 */

const POM = join(import.meta.dirname, 'pom.xml');
const LOG_SETTINGS = join(import.meta.dirname, 'log4j2.properties');
const CACHE = join(import.meta.dirname, '../../../../node_modules/.cache/landfall-kafka');

/** Small and quick to start: a test's broker lives for seconds. */
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

  /** The arguments that run a class of Kafka's; `record` is where to leave an archive of the classes that it loaded. */
  args(main: string, options: readonly string[], record?: string): string[] {
    const sharing =
      record !== undefined
        ? [`-XX:ArchiveClassesAtExit=${record}`]
        : existsSync(this.archive)
          ? [`-XX:SharedArchiveFile=${this.archive}`]
          : [];
    return [...FLAGS, ...sharing, '-cp', this.#classPath, main, ...options];
  }

  /** Why it cannot be had here; undefined where it can. */
  static async missing(): Promise<string | undefined> {
    if ((await findJava()) === undefined) return 'Java 17 or newer (Debian: apt-get install openjdk-17-jre-headless)';
    if (existsSync(join(folderOf(), 'libs')) || (await hasMaven())) return undefined;
    return 'Maven (Debian: apt-get install maven)';
  }

  /** Fetches the jars where they are not there yet, and lets `warmUp` leave an archive of classes. @throws Error */
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

/** Named by the version and by the rest of what the pom says. */
function folderOf(): string {
  const pom = readFileSync(POM, 'utf8');
  const version = /<kafka\.version>(.+)<\/kafka\.version>/.exec(pom)?.[1] ?? 'unknown';
  return join(CACHE, `${version}-${createHash('sha256').update(pom).digest('hex').slice(0, 8)}`);
}

/** Either all the jars are there or none. */
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

/** A broker without the archive is slower and no worse, so what goes wrong here is no failure. */
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
