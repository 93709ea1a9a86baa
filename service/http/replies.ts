import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { Fault } from '../../events/fault.ts';
import type { Principal } from '../access/credentials.ts';
import { loggablePath } from '../access/loggable.ts';
import { BadBatch, type BadMember } from './bad-batch.ts';

/** Error replies: a status and `{code, message, remedy}`. Only this file maps error codes to HTTP statuses. */

const statuses: Readonly<Record<string, number>> = {
  BAD_EVENT: 400,
  UNKNOWN_TYPE: 400,
  BAD_SUBJECT: 400,
  BAD_JSON: 400,
  BAD_UTF8: 400,
  BAD_REQUEST: 400,
  BAD_BATCH: 400,
  BAD_TIME: 400,
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  FOREIGN_HOST: 403,
  NOT_FOUND: 404,
  UNKNOWN_VM: 404,
  NO_DEMO: 404,
  NO_SUCH_HOST: 404,
  IDENTITY_CONFLICT: 409,
  ATTEMPT_OPEN: 409,
  ATTEMPT_EXISTS: 409,
  ALREADY_RUNNING: 409,
  ATTEMPT_SETTLED: 409,
  NOT_CONTESTED: 409,
  STEP_NOT_OPEN: 409,
  NOT_LIVE: 409,
  AMBIGUOUS: 409,
  TOO_LARGE: 413,
  UNSUPPORTED_TYPE: 415,
  UNKNOWN_ATTEMPT: 422,
  UNKNOWN_COMMAND: 422,
  NOT_ATTESTED: 422,
  HOST_LACKS_GUEST: 422,
  GUEST_RUNNING: 422,
  UNKNOWN_HOST: 422,
  BAD_CONFIGURATION: 422,
  TOO_COSTLY: 422,
  RATE_LIMITED: 429,
  OVERLOADED: 429,
  NOT_READY: 503,
  READS_BUSY: 503,
  READ_FAILED: 503,
  NOT_DECIDED: 503,
  BEHIND: 503,
  STOPPING: 503,
};

/** Errors of the ledger, the brokers, the topics or the clock. The reply is 503, and the client may send the request again. */
const UNREADY = /^(LEDGER_|KAFKA_|INPUTS_|IMPORT_UNFINISHED$|CLOCK_BEHIND$)/;

export function statusOf(code: string): number | null {
  return statuses[code] ?? (UNREADY.test(code) ? 503 : null);
}

type ErrorBody = { code: string; message: string; remedy: string; errors?: readonly BadMember[] };

/** Replies for requests that Fastify itself refuses, because its own messages describe its configuration. */
function ofFramework(error: FastifyError): [status: number, body: ErrorBody] | null {
  const say = (status: number, code: string, message: string, remedy: string): [number, ErrorBody] => [
    status,
    { code, message, remedy },
  ];
  if (error.validation !== undefined) {
    const [issue] = error.validation;
    const field = issue?.instancePath.replace(/^\//, '').replaceAll('/', '.') ?? '';
    const where = [error.validationContext, field].filter((part) => part !== undefined && part !== '').join('.');
    return say(
      400,
      'BAD_REQUEST',
      `${where}: ${wordsOf(issue?.message)}`,
      'docs/openapi.json describes every request.',
    );
  }
  if (error.code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    return say(413, 'TOO_LARGE', 'the body is too large', 'An event may have 1 MiB, a batch 8 MiB.');
  }
  if (error.code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
    return say(415, 'UNSUPPORTED_TYPE', 'the body is of a type that is not taken here', 'Send application/json.');
  }
  if (error.code === 'FST_ERR_BAD_URL') {
    return say(400, 'BAD_REQUEST', 'the path has an invalid percent-encoding', 'Encode the path as UTF-8.');
  }
  const status = error.statusCode ?? 500;
  return status < 500 ? say(status, 'BAD_REQUEST', 'the request cannot be read', 'Is it HTTP with a JSON body?') : null;
}

function wordsOf(message = 'invalid'): string {
  return message.endsWith('received undefined') ? 'is missing' : message;
}

export function replyToError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  // An error before authentication leaves the request without a principal.
  const principal = request.principal as Principal | null | undefined;
  const [status, body] = describe(error, (principal?.name ?? null) !== null);
  if (status >= 500) request.log.error({ err: error }, body.message);
  else if (status === 401 || status === 403)
    request.log.warn({ code: body.code, path: loggablePath(request.url) }, body.message);
  // A reply to a request that may succeed later says when to send it again.
  if (status === 503 || status === 429) void reply.header('retry-after', '1');
  if (status === 401) void reply.header('www-authenticate', 'Bearer');
  return reply.status(status).send(body);
}

function describe(error: unknown, isNamed: boolean): [status: number, body: ErrorBody] {
  if (error instanceof Fault) {
    const status = statusOf(error.code);
    if (status !== null) return [status, bodyOf(error, isNamed)];
  } else {
    const framework = ofFramework(error as FastifyError);
    if (framework !== null) return framework;
  }
  return [500, { code: 'INTERNAL', message: 'internal error', remedy: 'See the log of the service.' }];
}

/**
 * Returns the reply to a known error. A ledger error is reduced to its meaning, because its message names file paths. A
 * message of the brokers can name their addresses, so only an authenticated client gets it.
 */
function bodyOf(fault: Fault, isNamed: boolean): ErrorBody {
  const { code, message, remedy } = fault;
  if (fault instanceof BadBatch) return { code, message, remedy, errors: fault.errors };
  if (code.startsWith('LEDGER_')) {
    return {
      code: 'NOT_READY',
      message: `the ledger cannot be written (${code})`,
      remedy: 'Send it again when /readyz returns 200; a repeated event changes nothing.',
    };
  }
  if (code.startsWith('KAFKA_') && !isNamed)
    return { code, message: `the service does not accept inputs now (${code})`, remedy };
  return { code, message, remedy };
}

export function replyNotFound({ method }: FastifyRequest, reply: FastifyReply): FastifyReply {
  const message = `this path does not exist, or not for the method ${method}`;
  return reply.status(404).send({ code: 'NOT_FOUND', message, remedy: 'GET /v1/openapi.json lists all paths.' });
}
