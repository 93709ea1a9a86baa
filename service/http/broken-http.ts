import { type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';

/** Answers bytes that are not valid HTTP with the usual error body, and closes the connection. */

type Answer = { readonly status: number; readonly code: string; readonly message: string; readonly remedy: string };

export function answerBrokenHttp(error: Error & { code?: string }, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
  end(socket, answerTo(error.code));
}

/** Answers requests that Node would answer without an error body: an unknown `Expect` header, and the method CONNECT. */
export function answerUnusualHttp(server: Server): void {
  server.on('checkExpectation', (_request: IncomingMessage, response: ServerResponse) => {
    const { status, ...problem } = EXPECTATION;
    const body = JSON.stringify(problem);
    response.writeHead(status, { 'content-type': TYPE, 'content-length': Buffer.byteLength(body) }).end(body);
  });
  server.on('connect', (_request: IncomingMessage, socket: Duplex) => {
    socket.on('error', () => socket.destroy());
    end(socket, CONNECT);
  });
}

const TYPE = 'application/json; charset=utf-8';

const EXPECTATION: Answer = {
  status: 417,
  code: 'BAD_REQUEST',
  message: 'the header Expect has an unknown value',
  remedy: 'Send `Expect: 100-continue`, or leave the header out.',
};
const CONNECT: Answer = {
  status: 400,
  code: 'BAD_REQUEST',
  message: 'the service is not a proxy, so it has no method CONNECT',
  remedy: 'Send the request to the service directly.',
};

function end(socket: Duplex, { status, ...problem }: Answer): void {
  const body = JSON.stringify(problem);
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    `content-type: ${TYPE}`,
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
}

function answerTo(code: string | undefined): Answer {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return {
        status: 431,
        code: 'TOO_LARGE',
        message: 'the request headers are too large',
        remedy: 'Send at most 16 KiB of headers.',
      };
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return { status: 408, code: 'TOO_SLOW', message: 'the request did not arrive in time', remedy: 'Send it again.' };
    default:
      return {
        status: 400,
        code: 'BAD_REQUEST',
        message: 'the request is not valid HTTP',
        remedy: 'Send HTTP/1.1, and use TLS only if the service has a certificate.',
      };
  }
}
