import { existsSync, readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { type DestinationStream, type Logger, pino } from 'pino';
import { steadyTime, type Time, wallTime } from '../engine/time.ts';
import { Fault, messageOf } from '../events/fault.ts';
import { SqliteLedger } from '../log/sqlite/ledger.ts';
import { MACHINE_VERSION } from '../machines/version.ts';
import { path } from '../machines/chart.ts';
import { countsByState, openAttempts } from '../projections/attempts.ts';
import { Credentials } from './access/credentials.ts';
import { Guard } from './access/guard.ts';
import { buildApp, type TlsOptions } from './app.ts';
import { Agents } from './engine/agents.ts';
import type { Engine } from './engine/engine.ts';
import { openDemo, openEngine, type Opened } from './engine/open.ts';
import { SharedAgents } from './engine/shared-agents.ts';
import type { App, Service } from './http/service.ts';
import { Metrics } from './metrics.ts';
import { listHosts } from './reads/lists.ts';
import { decisionsIn, type Settings } from './settings.ts';
import { ClusterWatch } from './watch/cluster-watch.ts';
import { applyStartUpSettings } from './watch/start-up-settings.ts';
import { type Demo, watchAgents, watchDemo } from './watch/watchers.ts';

/** Puts the service together, and takes it apart again without losing anything. */

export type Running = {
  readonly url: string;
  readonly app: App;
  readonly engine: Engine;
  readonly agents: Agents;
  /** Nothing was in the ledger when it was opened. */
  readonly isEmpty: boolean;
  /** From now on `?ledger=demo` reads this file. */
  showDemo(file: string): Promise<void>;
  /** Reads the file of credentials again. @throws Fault BAD_TOKENS; then those read before stay. */
  reloadTokens(): void;
  stop(): Promise<void>;
};

export type Surroundings = { readonly time?: Time; readonly logger?: Logger };

/** Where the shipped recordings are played: beside the ledger. */
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

/** With several instances each has to be right by itself: one whose clock is behind the others' decides nothing. */
function clockOf({ kafkaBrokers }: Settings): Time {
  return kafkaBrokers === undefined ? steadyTime() : wallTime;
}

/** The recordings would be played into the ledger itself. */
function requireOtherThanDemo({ db, kafkaBrokers }: Settings): void {
  if (kafkaBrokers !== undefined || resolve(db) !== resolve(demoFileOf(db))) return;
  const what = `db: ${db} is where the demo's recordings are played, beside the ledger`;
  throw new Fault('BAD_SETTING', what, 'Give the ledger another name; `landfall status --db` reads that file.');
}

type Parts = Awaited<ReturnType<typeof assemble>> & { readonly cancelSettings: () => void };

async function assemble(settings: Settings, time: Time, logger: Logger) {
  const demo: Demo = { shown: null };
  // The engine reports to these, and they read from it: what it reports before they are there, they will read.
  const watch: { metrics?: Metrics; agents?: Agents; cluster?: ClusterWatch } = {};
  const opened: Opened = await openEngine(settings, {
    time,
    logger,
    observer: {
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
        logger.info({ ledger: settings.kafkaBrokers ?? settings.db }, 'the ledger takes commits');
      },
      died: (fault) => {
        watch.metrics?.died(fault.code);
        logger.error({ code: fault.code, remedy: fault.remedy }, fault.message);
      },
      truncated: (kind) => watch.metrics?.truncated(kind),
      rebalanced: (partitions) => {
        watch.metrics?.rebalanced();
        logger.info({ partitions }, 'the partitions were shared out');
        watch.cluster?.rebalanced(partitions);
      },
    },
  });
  const { engine, cluster, isEmpty } = opened;
  const silentMs = settings.agentSilentSeconds * 1000;
  if (cluster !== null) {
    watch.cluster = new ClusterWatch({ cluster, time, logger, agents: new SharedAgents(silentMs, () => time.now()) });
  }
  const agents = watch.cluster?.agents ?? new Agents(silentMs, () => time.now());
  const metrics = metricsOf(opened, agents);
  Object.assign(watch, { metrics, agents });
  const streamMs = settings.streamSeconds * 1000;
  const service: Service = { engine, agents, metrics, streamMs, demo: () => demo.shown?.reads ?? null };
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
      logger.info('the credentials were read again');
    },
    stop: async () => {
      parts.cancelSettings();
      cancelAgents();
      cancelDemo();
      watched?.stop();
      // Long polls end first, then the requests that are under way, then what they had committed.
      engine.workQueue.close();
      const late = setTimeout(() => app.server.closeAllConnections(), settings.shutdownSeconds * 1000);
      await app.close();
      clearTimeout(late);
      await engine.stop();
      await demo.shown?.close();
    },
  };
}

function credentialsFor({ host, tokens, tlsClientCa }: Settings): Credentials | null {
  const credentials = tokens === undefined ? null : Credentials.read(tokens);
  const isGuarded =
    credentials?.hasTokens === true || (credentials?.hasCertificates === true && tlsClientCa !== undefined);
  if (isGuarded || (isLoopback(host) && credentials === null)) return credentials;
  throw new Fault(
    'UNGUARDED',
    tokens === undefined
      ? `without tokens the service listens on this machine only, not on ${host}`
      : `${tokens} lets nobody in${credentials?.hasCertificates === true ? ' without tlsClientCa' : ''}`,
    'Give --tokens FILE with lines of `landfall token`, or TLS with --tls-client-ca and cn: lines.',
  );
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

function tlsFor({ tlsCert, tlsKey, tlsClientCa, tokens }: Settings): TlsOptions | undefined {
  if (tlsCert === undefined || tlsKey === undefined) return undefined;
  const pair = { cert: readPem(tlsCert, 'tlsCert'), key: readPem(tlsKey, 'tlsKey') };
  if (tlsClientCa === undefined) return { ...pair, requestCert: false, rejectUnauthorized: false };
  // Where tokens let people in as well, a client without a certificate may still show one.
  const alsoTokens = tokens !== undefined && Credentials.read(tokens).hasTokens;
  return { ...pair, ca: readPem(tlsClientCa, 'tlsClientCa'), requestCert: true, rejectUnauthorized: !alsoTokens };
}

function readPem(file: string, setting: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new Fault('BAD_SETTING', `${setting}: ${messageOf(error)}`, 'Check the path and its permissions.', error);
  }
}

/** JSON lines, in which no token stands. */
export function loggerFor({ logLevel }: Pick<Settings, 'logLevel'>, to?: DestinationStream): Logger {
  const redact = ['authorization', '*.authorization', '*.headers.authorization', 'headers.authorization'];
  return pino(
    { level: logLevel, redact: { paths: redact, censor: '***' } },
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
      `something listens on ${host}:${port} already`,
      'Stop it, or choose another with --port.',
      error,
    );
  }
  if (code === 'EADDRNOTAVAIL' || code === 'EACCES' || code === 'ENOTFOUND') {
    return new Fault(
      'ADDRESS_REFUSED',
      `${host}:${port}: ${messageOf(error)}`,
      'Choose another with --host and --port.',
      error,
    );
  }
  return error;
}

export const hasDemo = (db: string): boolean => existsSync(demoFileOf(db));
