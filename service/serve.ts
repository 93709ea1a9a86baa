import { existsSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { type DestinationStream, type Logger, pino } from 'pino';
import { steadyTime, type Time, wallTime } from '../engine/time.ts';
import { Fault, messageOf } from '../events/fault.ts';
import { SqliteLedger } from '../log/sqlite/ledger.ts';
import { MACHINE_VERSION } from '../machines/version.ts';
import { path } from '../machines/chart.ts';
import { countsByState, openAttempts } from '../projections/attempts.ts';
import { credentialsFor, tlsFor } from './access/access-settings.ts';
import { Guard } from './access/guard.ts';
import { loggableRequest } from './access/loggable.ts';
import { buildApp } from './app.ts';
import { Agents } from './engine/agents.ts';
import type { ClusterObserver } from './engine/cluster-parts.ts';
import type { Engine } from './engine/engine.ts';
import { openDemo, openEngine, type Opened } from './engine/open.ts';
import { SharedAgents } from './engine/shared-agents.ts';
import type { App, Service } from './http/service.ts';
import { Metrics } from './metrics.ts';
import { listHosts } from './reads/lists.ts';
import { ReadQueue } from './reads/read-queue.ts';
import { decisionsIn, type Settings } from './settings.ts';
import { ClusterWatch } from './watch/cluster-watch.ts';
import { applyStartUpSettings } from './watch/start-up-settings.ts';
import { type Demo, watchAgents, watchDemo } from './watch/watchers.ts';

/** Starts the service from its parts, and stops it without losing an acknowledged input. */

export type Running = {
  readonly url: string;
  readonly app: App;
  readonly engine: Engine;
  readonly agents: Agents;
  /** True when the ledger had no entries at the start. */
  readonly isEmpty: boolean;
  /** Makes `?ledger=demo` read this file. */
  showDemo(file: string): Promise<void>;
  /** Reads the file of credentials again. @throws Fault BAD_TOKENS; the previous credentials stay in force. */
  reloadTokens(): void;
  stop(): Promise<void>;
};

export type Surroundings = { readonly time?: Time; readonly logger?: Logger };

/** Returns the file of the demo ledger, in the folder of the live ledger. */
export const demoFileOf = (db: string): string => join(dirname(db), 'demo.db');

export async function startService(settings: Settings, around: Surroundings = {}): Promise<Running> {
  requireOtherThanDemo(settings);
  const logger = around.logger ?? loggerFor(settings);
  const guard = new Guard(credentialsFor(settings));
  const tls = tlsFor(settings);
  const parts = await assemble(settings, around.time ?? clockOf(settings), logger);
  let cancelSettings = () => {};
  try {
    await parts.engine.start();
    cancelSettings = await applyStartUpSettings({ ...parts, wanted: decisionsIn(settings), logger });
    const { requestsPerSecondMax } = settings;
    const app = await buildApp(parts.service, { logger, guard, tls, requestsPerSecondMax });
    await app.listen({ host: settings.host, port: settings.port });
    return running(settings, { ...parts, cancelSettings }, app, guard, logger);
  } catch (error) {
    cancelSettings();
    await parts.engine.stop();
    throw listenFault(error, settings);
  }
}

/** Several instances must agree on the time, so each uses its wall clock; an instance whose clock is behind owns no partition. */
function clockOf({ kafkaBrokers }: Settings): Time {
  return kafkaBrokers === undefined ? steadyTime() : wallTime;
}

/** Refuses a live ledger in the file of the demo ledger. @throws Fault BAD_SETTING. */
function requireOtherThanDemo({ db, kafkaBrokers }: Settings): void {
  if (kafkaBrokers !== undefined || resolve(db) !== resolve(demoFileOf(db))) return;
  const what = `db: ${db} is the file of the demo ledger`;
  throw new Fault(
    'BAD_SETTING',
    what,
    'Choose another file for the ledger; `landfall status --db` reads the demo ledger.',
  );
}

type Parts = Awaited<ReturnType<typeof assemble>> & { readonly cancelSettings: () => void };

/** The parts that watch the engine. They are missing until the engine is open, and then read its earlier events themselves. */
type Watch = { metrics?: Metrics; agents?: Agents; cluster?: ClusterWatch };

/** Forwards the events of the engine to the metrics, the agents, the cluster watch and the log. */
function observerOf(watch: Watch, settings: Settings, logger: Logger): ClusterObserver {
  return {
    committed: (entries, ms) => {
      watch.metrics?.committed(entries, ms);
      watch.cluster?.committed(ms);
    },
    fired: (count, latenessMsMax) => watch.metrics?.fired(count, latenessMsMax),
    entries: (entries, isOwn) => {
      watch.metrics?.entries(entries, isOwn);
      watch.cluster?.agents.read(entries);
    },
    claimed: () => {
      watch.metrics?.recount();
      watch.agents?.forgetReports();
      logger.info({ ledger: settings.kafkaBrokers ?? settings.db }, 'the ledger accepts commits');
    },
    died: (fault) => {
      watch.metrics?.died(fault.code);
      logger.error({ code: fault.code, remedy: fault.remedy }, fault.message);
    },
    truncated: (kind) => watch.metrics?.truncated(kind),
    rebalanced: (partitions) => {
      watch.metrics?.rebalanced();
      logger.info({ partitions }, 'partitions assigned');
      watch.cluster?.rebalanced(partitions);
    },
  };
}

/** Opens the engine, and creates the agents, the metrics and the routes' view of the service. */
async function assemble(settings: Settings, time: Time, logger: Logger) {
  const demo: Demo = { shown: null };
  const watch: Watch = {};
  const observer = observerOf(watch, settings, logger);
  const opened: Opened = await openEngine(settings, { time, logger, observer });
  const { engine, cluster, isEmpty } = opened;
  const silentMs = settings.agentSilentSeconds * 1000;
  if (cluster !== null) {
    watch.cluster = new ClusterWatch({ cluster, time, logger, agents: new SharedAgents(silentMs, () => time.now()) });
  }
  const agents = watch.cluster?.agents ?? new Agents(silentMs, () => time.now());
  const metrics = metricsOf(opened, agents);
  Object.assign(watch, { metrics, agents });
  const streamMs = settings.streamSeconds * 1000;
  const readQueue = new ReadQueue((failure) =>
    logger.error({ error: messageOf(failure) }, 'a reader thread ended; the next read starts another one'),
  );
  const { workRequestsMax } = settings;
  const shown = () => demo.shown?.reads ?? null;
  const service: Service = { engine, agents, metrics, readQueue, streamMs, workRequestsMax, demo: shown };
  return { engine, cluster, agents, service, demo, isEmpty, time, watched: watch.cluster };
}

function metricsOf({ engine, cluster }: Opened, agents: Agents): Metrics {
  return new Metrics({
    ready: () => engine.fault === null,
    queued: () => engine.waiting,
    outstanding: () => engine.workQueue.counts,
    silentAgents: () => agents.silent(listHosts(engine.parts)),
    counts: () => engine.parts.flatMap(({ db }) => countsByState(db)),
    *open() {
      for (const { db } of engine.parts) {
        for (const { state } of openAttempts(db)) {
          const { migration, verdicts } = state.attempt;
          yield { migration, at: path(state.value), contested: verdicts.at(-1)?.contested === true };
        }
      }
    },
    ...(cluster === null ? {} : { cluster }),
  });
}

function running(settings: Settings, parts: Parts, app: App, guard: Guard, logger: Logger): Running {
  const { engine, agents, demo, isEmpty, cluster, watched } = parts;
  const cancelAgents = watchAgents({ ...parts, logger });
  const cancelDemo = cluster === null ? () => {} : watchDemo(parts, () => openDemo(settings, logger), logger);
  return {
    url: urlOf(settings, app.server.address()),
    app,
    engine,
    agents,
    isEmpty,
    showDemo: async (file) => {
      const ledger = await SqliteLedger.open({ file, mode: 'read', machineVersion: MACHINE_VERSION });
      demo.shown = { reads: [{ partition: 0, ledger, db: ledger.readConnection() }], close: () => ledger.close() };
    },
    reloadTokens: () => {
      guard.replace(credentialsFor(settings));
      logger.info('credentials reloaded');
    },
    stop: async () => {
      parts.cancelSettings();
      cancelAgents();
      cancelDemo();
      watched?.stop();
      // Long polls end first, then the open requests, then the commits that they wait for.
      engine.workQueue.close();
      const late = setTimeout(() => app.server.closeAllConnections(), settings.shutdownSeconds * 1000);
      await app.close();
      clearTimeout(late);
      await parts.service.readQueue.close();
      await engine.stop();
      await demo.shown?.close();
    },
  };
}

/** Returns a logger of JSON lines that redacts tokens and queries, because clients put tokens into queries. */
export function loggerFor({ logLevel }: Pick<Settings, 'logLevel'>, to?: DestinationStream): Logger {
  const redact = ['authorization', '*.authorization', '*.headers.authorization', 'headers.authorization'];
  return pino(
    { level: logLevel, redact: { paths: redact, censor: '***' }, serializers: { req: loggableRequest } },
    to ?? pino.destination({ dest: 2, sync: false }),
  );
}

function urlOf({ host, tlsCert }: Settings, address: string | AddressInfo | null): string {
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const name = host.includes(':') ? `[${host}]` : host;
  return `${tlsCert === undefined ? 'http' : 'https'}://${name}:${port}`;
}

function listenFault(error: unknown, { host, port }: Settings): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'EADDRINUSE') {
    return new Fault(
      'ADDRESS_TAKEN',
      `${host}:${port} is already in use`,
      'Stop the other program, or choose another port with --port.',
      error,
    );
  }
  if (code === 'EADDRNOTAVAIL' || code === 'EACCES' || code === 'ENOTFOUND') {
    return new Fault(
      'ADDRESS_REFUSED',
      `the service cannot listen on ${host}:${port}: ${messageOf(error)}`,
      'Choose another address with --host and --port.',
      error,
    );
  }
  return error;
}

export const hasDemo = (db: string): boolean => existsSync(demoFileOf(db));
