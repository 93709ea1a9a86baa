import rateLimit from '@fastify/rate-limit';
import swagger from '@fastify/swagger';
import Fastify, { type FastifyError, type FastifyServerOptions, LogController } from 'fastify';
import { jsonSchemaTransform, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';
import type { Logger } from 'pino';
import { INPUT_BYTES_MAX } from '../events/cloud-event.ts';
import { Fault } from '../events/fault.ts';
import { requireShallow } from '../events/nesting.ts';
import { requireUtf8 } from '../log/kept-bytes.ts';
import { ANYBODY } from './access/credentials.ts';
import { type Guard, requireNeeds } from './access/guard.ts';
import { badJson, gzipFault, requireUncompressed } from './http/bad-json.ts';
import { answerBrokenHttp, answerUnusualHttp } from './http/broken-http.ts';
import { limitPipelining, requireHostHeader } from './http/connections.ts';
import { Body } from './http/event-body.ts';
import { addEvents } from './http/events-routes.ts';
import { addHealth } from './http/health-routes.ts';
import { addLedger } from './http/ledger-route.ts';
import { addConfiguration, addResolution } from './http/operator-routes.ts';
import { addMigrationReads, addSiteReads, addVmReads } from './http/read-routes.ts';
import { addEntries, addHistory } from './http/story-routes.ts';
import { awaitPosition } from './http/position.ts';
import { replyNotFound, replyToError } from './http/replies.ts';
import type { App, Service } from './http/service.ts';
import { addWork } from './http/work-routes.ts';

/** Builds the HTTP server: limits, then authentication, then routes. */

export type AppOptions = {
  readonly logger: Logger;
  readonly guard: Guard;
  /** The limit of requests per second from one address. */
  readonly requestsPerSecondMax: number;
  readonly tls?: TlsOptions | undefined;
};
export type TlsOptions = { cert: string; key: string; ca?: string; requestCert: boolean; rejectUnauthorized: boolean };

const PARAMETER_LENGTH_MAX = 2048;
/** The longest time in which a request must arrive. */
const REQUEST_MS_MAX = 30_000;
/** An idle connection is closed after this time. It must be longer than any long poll. */
const CONNECTION_IDLE_MS_MAX = 120_000;
const PATHS_WITHOUT_LIMIT: readonly string[] = ['/healthz', '/readyz'];

export async function buildApp(service: Service, options: AppOptions): Promise<App> {
  const app = create(options);
  app.setValidatorCompiler(validatorCompiler);
  // Replies come from typed views, so they are not validated here; tests validate them against their schemas.
  app.setSerializerCompiler(() => (value) => JSON.stringify(value));
  app.setErrorHandler<FastifyError>((error, request, reply) => replyToError(error, request, reply));
  app.setNotFoundHandler(replyNotFound);
  readBodies(app);
  answerUnusualHttp(app.server);
  limitPipelining(app);
  app.addHook('onRequest', requireHostHeader);
  app.addHook('preParsing', requireUncompressed);
  await limitRates(app, options.requestsPerSecondMax);
  app.decorateRequest('principal', null as never);
  app.addHook('onRequest', async (request) => {
    request.principal = ANYBODY;
    request.principal = options.guard.admit(request);
  });
  app.addHook('onSend', async (_request, reply) => {
    void reply.header('x-content-type-options', 'nosniff');
  });
  app.addHook('onRoute', requireNeeds);
  app.addHook('onRoute', (route) => awaitPosition(service, route));
  await describe(app);
  app.after(() => addRoutes(app, service));
  await app.ready();
  return app;
}

function create({ logger, tls }: AppOptions): App {
  const common = {
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: INPUT_BYTES_MAX,
    requestTimeout: REQUEST_MS_MAX,
    connectionTimeout: CONNECTION_IDLE_MS_MAX,
    forceCloseConnections: 'idle' as const,
    routerOptions: { maxParamLength: PARAMETER_LENGTH_MAX },
    clientErrorHandler: answerBrokenHttp,
    frameworkErrors: replyToError as NonNullable<FastifyServerOptions['frameworkErrors']>,
  };
  // The type of a TLS server differs, but it has the same members as far as they are used here.
  // Node's own reply to a request without a Host header has no error body, so a hook replies instead.
  const requireHostHeader = false;
  const app =
    tls === undefined
      ? Fastify({ ...common, http: { requireHostHeader } })
      : Fastify({ ...common, https: { ...tls, requireHostHeader } });
  return (app as unknown as App).withTypeProvider<ZodTypeProvider>();
}

/** Parses JSON bodies. The body of an event request keeps the length of its text. */
function readBodies(app: App): void {
  const parseJson = app.getDefaultJsonParser('error', 'error');
  app.removeAllContentTypeParsers();
  const types = ['application/json', 'application/cloudevents+json', 'application/cloudevents-batch+json'];
  app.addContentTypeParser(types, { parseAs: 'buffer' }, (request, body, done) => {
    const bytes = Buffer.from(body);
    const unreadable = gzipFault(bytes) ?? utf8Fault(bytes);
    if (unreadable !== null) return done(unreadable);
    const text = bytes.toString();
    void parseJson(request, text, (error, value) => {
      if (error !== null) return done(badJson(text, error));
      const deep = depthFault(value);
      if (deep !== null) return done(deep);
      const isEvents = request.routeOptions.url === '/v1/events';
      done(null, isEvents ? new Body(value, bytes.length) : value);
    });
  });
}

/** Returns the error of a body that is not UTF-8. */
function utf8Fault(bytes: Buffer): Fault | null {
  try {
    requireUtf8(bytes);
    return null;
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
}

/** Returns the error of a value that is nested too deeply. In a batch the limit applies to each event. */
function depthFault(value: unknown): Fault | null {
  try {
    if (Array.isArray(value)) value.forEach((member, index) => requireShallow(member, `[${index}]`));
    else requireShallow(value);
    return null;
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
}

async function limitRates(app: App, max: number): Promise<void> {
  await app.register(rateLimit, {
    max,
    timeWindow: 1000,
    allowList: (request) => PATHS_WITHOUT_LIMIT.includes(request.routeOptions.url ?? ''),
    errorResponseBuilder: () =>
      new Fault('RATE_LIMITED', 'too many requests from this address', 'Wait one second, and send events in batches.'),
  });
}

async function describe(app: App): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Landfall',
        description: 'Landfall determines where a VM runs after a live-migration call failed. See docs/service.md.',
        version: '1',
      },
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
      security: [{ token: [] }],
    },
    transform: jsonSchemaTransform,
  });
}

function addRoutes(app: App, service: Service): void {
  addEvents(app, service);
  addVmReads(app, service);
  addHistory(app, service);
  addMigrationReads(app, service);
  addEntries(app, service);
  addSiteReads(app, service);
  addLedger(app, service);
  addResolution(app, service);
  addConfiguration(app, service);
  addWork(app, service);
  addHealth(app, service);
  let description: Buffer | undefined;
  app.get('/v1/openapi.json', { config: { needs: 'nothing' }, schema: { hide: true } }, async (_request, reply) => {
    // All replies share one buffer, so that many requests need no memory.
    description ??= Buffer.from(JSON.stringify(app.swagger()));
    return reply.type('application/json').send(description);
  });
}
