import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';

/** Answers bytes that are not valid HTTP with the usual error body, and closes the connection. */

type Answer = { readonly status: number; readonly code: string; readonly message: string; readonly remedy: string };

export function answerBrokenHttp(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
  const { status, ...problem } = answerTo(error.code);
  const body = JSON.stringify(problem);
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    'content-type: application/json; charset=utf-8',
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
