import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { declared, serve } from './harness.ts';
import { dial } from './sockets.ts';

/** Misbehaving clients on real sockets: the service rejects their requests, and other clients are not affected. */

/** Returns the head of a request. @param length null if the caller adds the remaining headers. */
const head = (length: number | null) =>
  `POST /v1/events HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n${length === null ? '' : `content-length: ${length}\r\n\r\n`}`;

/** Reads a socket until the connection closes or the text ends with this suffix. */
async function answerOf(socket: Socket, end = '}'): Promise<string> {
  let text = '';
  const ended = new Promise<void>((resolve) => {
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (text.endsWith(end)) resolve();
    });
  });
  await Promise.race([once(socket, 'close'), ended, wait(30_000)]);
  return text;
}

it('rejects a truncated body that contains a complete event', async () => {
  const service = await serve();
  const position = async () => (await service.get('/readyz')).body['position'];
  const event = JSON.stringify(declared());
  const pad = ' '.repeat(10);
  const chunk = `${event.length.toString(16)}\r\n${event}\r\n`;
  const chunked = `${head(null)}transfer-encoding: chunked\r\n\r\n${chunk}`;
  for (const text of [head(event.length + pad.length) + event, head(event.length) + event.slice(0, -1), chunked]) {
    const gone = await dial(service);
    gone.write(text);
    await wait(50);
    gone.destroy();
    const ended = await dial(service);
    ended.end(text);
    expect(await answerOf(ended)).toMatch(/^HTTP\/1.1 400 /);
  }
  await wait(200);
  expect(await position()).toBe('0:0');
  // The complete event is accepted, and its repeat is a duplicate.
  for (const text of [head(event.length + pad.length) + event + pad, `${chunked}0\r\n\r\n`]) {
    const socket = await dial(service);
    socket.write(text);
    expect(await answerOf(socket)).toMatch(/^HTTP\/1.1 202 /);
    socket.destroy();
  }
  expect(await position()).toBe('0:1');
});

it('rejects a large body with and without a content length', async () => {
  const service = await serve();
  const told = await dial(service);
  told.write(head(10_000_000));
  expect(await answerOf(told)).toMatch(/^HTTP\/1.1 413 [^]*"TOO_LARGE"/);
  told.destroy();
  const untold = await dial(service);
  const size = 8 * 1024 * 1024 + 1;
  untold.write(`${head(null)}transfer-encoding: chunked\r\n\r\n${size.toString(16)}\r\n"${'x'.repeat(size - 2)}"\r\n`);
  expect(await answerOf(untold)).toMatch(/^HTTP\/1.1 413 [^]*"TOO_LARGE"/);
  untold.destroy();
  expect((await service.get('/readyz')).body['position']).toBe('0:0');
});

it('rejects a body by its length while the backlog is full', async () => {
  const service = await serve();
  let asked = 0;
  Object.assign(service.engine, {
    hasRoom: (bytes: number) => {
      asked = bytes;
      return false;
    },
  });
  const socket = await dial(service);
  socket.write(head(8_000_000));
  expect(await answerOf(socket)).toMatch(/^HTTP\/1.1 429[^]*"OVERLOADED"/);
  expect(asked).toBe(8_000_000);
  socket.destroy();
});

it.each([
  ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400, 'BAD_REQUEST'],
  ['an unknown version', 'GET / HTTP/9.9\r\n\r\n', 400, 'BAD_REQUEST'],
  ['a chunk without a length', `${head(null)}transfer-encoding: chunked\r\n\r\nzz\r\n`, 400, 'BAD_REQUEST'],
  ['two lengths', `${head(null)}content-length: 3\r\ncontent-length: 4\r\n\r\n{}`, 400, 'BAD_REQUEST'],
  [
    'a length and chunks',
    `${head(null)}content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
    400,
    'BAD_REQUEST',
  ],
  ['endless headers', `GET /healthz HTTP/1.1\r\nhost: a\r\nx: ${'x'.repeat(100_000)}\r\n\r\n`, 431, 'TOO_LARGE'],
])('answers invalid HTTP with an error body: %s', async (_name, text, status, code) => {
  const service = await serve();
  const socket = await dial(service);
  socket.write(text, 'latin1');
  const answer = await answerOf(socket);
  const [headers = '', body = ''] = answer.split('\r\n\r\n');
  expect(headers).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  expect(JSON.parse(body)).toEqual({ code, message: expect.any(String), remedy: expect.any(String) });
  await expect.poll(() => socket.closed).toBe(true);
  expect((await service.get('/healthz')).status).toBe(200);
});
