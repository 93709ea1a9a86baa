import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { Kafka, logLevel } from '../../../../kafka/kafkajs.ts';
import { Broker } from './broker.ts';
import { freePorts } from './ports.ts';
import { run } from './programs.ts';
import { type BrokerPorts, brokerProperties, type Properties, propertiesText } from './properties.ts';
import { Proxy } from './proxy.ts';
import { reapFolder } from './reaper.ts';
import { KafkaRuntime } from './runtime.ts';
import { makeSecurity, SCRAM_FORMAT, type Security, securityProperties } from './security.ts';

export type ClusterOptions = {
  readonly brokers?: 1 | 3;
  /** Gives every broker a listener behind a proxy: see `proxied` and `proxy`. */
  readonly withProxies?: boolean;
  /** Gives every broker a listener with TLS and SASL: see `secure` and `security`. */
  readonly withSecurity?: boolean;
  /** Broker settings that override the defaults of these tests. */
  readonly properties?: Properties;
};

type Parts = {
  readonly folder: string;
  readonly brokers: readonly Broker[];
  readonly ports: readonly BrokerPorts[];
  readonly proxies: readonly Proxy[];
  readonly security: Security | undefined;
};

const START_ATTEMPTS_MAX = 3;
const LEADER_MS_MAX = 60_000;
const LEADER_POLL_MS = 50;
/** Short timeouts, because a paused broker may be asked as well. */
const IMPATIENT = { connectionTimeout: 500, requestTimeout: 500, enforceRequestTimeout: true } as const;

/** Apache Kafka in processes of this machine. Brokers are numbered from 0, and the number is the node id. */
export class Cluster implements AsyncDisposable {
  /** The addresses of the plain listeners, of the listeners behind proxies, and of the listeners with TLS and SASL. */
  readonly bootstrap: readonly string[];
  readonly proxied: readonly string[];
  readonly secure: readonly string[];
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.bootstrap = parts.ports.map(({ plain }) => `127.0.0.1:${plain}`);
    this.proxied = parts.proxies.map(({ port }) => `127.0.0.1:${port}`);
    this.secure = parts.ports.flatMap(({ secure }) => (secure === undefined ? [] : [`127.0.0.1:${secure}`]));
  }

  broker(id: number): Broker {
    return existing(this.#parts.brokers[id], `broker ${id}`);
  }

  proxy(id: number): Proxy {
    return existing(this.#parts.proxies[id], `proxy ${id}: start the cluster with { withProxies: true }`);
  }

  get security(): Security {
    return existing(this.#parts.security, 'security: start the cluster with { withSecurity: true }');
  }

  /**
   * Returns the node id of the partition's leader, according to the brokers that answer. Waits until the partition has a leader.
   */
  async leaderOf(topic: string, partition: number): Promise<number> {
    const brokers = this.bootstrap.filter((_, id) => this.broker(id).isAnswering);
    const admin = new Kafka({ clientId: 'leader-of', brokers, logLevel: logLevel.NOTHING, ...IMPATIENT }).admin();
    try {
      await admin.connect();
      for (const deadline = Date.now() + LEADER_MS_MAX; Date.now() < deadline; await wait(LEADER_POLL_MS)) {
        const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
        const found = topics[0]?.partitions.find(({ partitionId }) => partitionId === partition);
        if (found !== undefined && found.leader >= 0) return found.leader;
      }
      throw new Error(`${topic}/${partition} has no leader`);
    } finally {
      await admin.disconnect();
    }
  }

  /** Kills all brokers at once, as a power cut does, and starts all of them. */
  async restartAll(): Promise<void> {
    await Promise.all(this.#parts.brokers.map((broker) => broker.kill()));
    await this.start();
  }

  /** Starts the brokers that do not run. */
  async start(): Promise<void> {
    await Promise.all(this.#parts.brokers.map((broker) => broker.start()));
  }

  /** Kills the running brokers and removes their files. */
  async stop(): Promise<void> {
    const { brokers, proxies, folder } = this.#parts;
    await Promise.all([...brokers.map((broker) => broker.kill()), ...proxies.map((proxy) => proxy.close())]);
    rmSync(folder, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

/** Resolves when all brokers accept requests. @throws Error if Java or Maven are missing, or a broker does not start. */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const runtime = await prepareClusters();
  for (let attempt = 1; ; attempt += 1) {
    const cluster = await makeCluster(runtime, options);
    try {
      await cluster.start();
      return cluster;
    } catch (error) {
      await cluster.stop();
      if (attempt === START_ATTEMPTS_MAX || !String(error).includes('Address already in use')) throw error;
    }
  }
}

/** Downloads the jars and records the class archive if they are missing. */
export const prepareClusters = (): Promise<KafkaRuntime> => KafkaRuntime.prepare(warmUp);

/** Runs one broker to record an archive of the classes that it loads. */
async function warmUp(runtime: KafkaRuntime, record: string): Promise<void> {
  await using cluster = await makeCluster(runtime, {}, record);
  await cluster.start();
  await cluster.broker(0).terminate();
}

async function makeCluster(runtime: KafkaRuntime, options: ClusterOptions, record?: string): Promise<Cluster> {
  const { brokers: count = 1, withProxies = false, withSecurity = false, properties = {} } = options;
  const folder = mkdtempSync(join(tmpdir(), 'landfall-kafka-'));
  reapFolder(folder);
  const ports = await portsFor(count, withProxies, withSecurity);
  const security = withSecurity ? await makeSecurity(folder) : undefined;
  const more = withSecurity ? { ...securityProperties(folder), ...properties } : properties;
  const clusterId = randomBytes(16).toString('base64url');
  const brokers = await Promise.all(
    ports.map(async (_, id) => {
      const own = join(folder, String(id));
      const file = join(own, 'server.properties');
      mkdirSync(own);
      writeFileSync(file, propertiesText(brokerProperties(id, ports, own, more)));
      const format = ['format', `--cluster-id=${clusterId}`, '-c', file, ...(withSecurity ? SCRAM_FORMAT : [])];
      await run(runtime.java.program, runtime.args('kafka.tools.StorageTool', format));
      return new Broker({ id, runtime, properties: file, log: join(own, 'broker.log'), ...(record && { record }) });
    }),
  );
  const proxies = await Promise.all(
    ports.flatMap(({ proxied }) => (proxied === undefined ? [] : [Proxy.open(proxied.advertised, proxied.port)])),
  );
  return new Cluster({ folder, brokers, ports, proxies, security });
}

async function portsFor(count: number, withProxies: boolean, withSecurity: boolean): Promise<BrokerPorts[]> {
  const free = (await freePorts(count * 5)).values();
  const next = () => existing(free.next().value, 'port');
  return Array.from({ length: count }, () => ({
    controller: next(),
    plain: next(),
    ...(withProxies && { proxied: { port: next(), advertised: next() } }),
    ...(withSecurity && { secure: next() }),
  }));
}

function existing<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new RangeError(`there is no ${what}`);
  return value;
}
