import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';

/** What cannot be read as HTTP is answered like every other error, and the connection is closed: nothing can follow it. */

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
        message: 'the headers are too large',
        remedy: 'They may have 16 KiB together.',
      };
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return { status: 408, code: 'TOO_SLOW', message: 'the request did not arrive in time', remedy: 'Send it again.' };
    default:
      return {
        status: 400,
        code: 'BAD_REQUEST',
        message: 'this is no HTTP that can be read here',
        remedy: 'Send HTTP/1.1, with TLS only where the service has a certificate.',
      };
  }
}
