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

const events = (headers: string, body: string) =>
  `POST /v1/events HTTP/1.1\r\nhost: 127.0.0.1\r\n${headers}content-length: ${Buffer.byteLength(body, 'latin1')}\r\n\r\n${body}`;
const JSON_TYPE = 'content-type: application/json\r\n';

it.each([
  ['no Host header', 'GET /v1/vms HTTP/1.1\r\n\r\n', 400, 'BAD_REQUEST', /Host/],
  ['no Host header for health', 'GET /healthz HTTP/1.1\r\n\r\n', 400, 'BAD_REQUEST', /Host/],
  ['CONNECT', 'CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n', 400, 'BAD_REQUEST', /proxy/],
  ['an unknown Expect', 'GET /healthz HTTP/1.1\r\nhost: a\r\nexpect: x\r\n\r\n', 417, 'BAD_REQUEST', /Expect/],
  ['a broken path', 'GET /v1/vms/%zz HTTP/1.1\r\nhost: a\r\n\r\n', 400, 'BAD_REQUEST', /percent-encoding/],
  ['another method', 'DELETE /v1/vms HTTP/1.1\r\nhost: a\r\n\r\n', 404, 'NOT_FOUND', /DELETE/],
  ['a gzip body', events(`${JSON_TYPE}content-encoding: gzip\r\n`, '\x1f\x8b\b'), 415, 'UNSUPPORTED_TYPE', /gzip/],
  ['a brotli body', events(`${JSON_TYPE}content-encoding: br\r\n`, '{}'), 415, 'UNSUPPORTED_TYPE', /br/],
  ['an undeclared gzip body', events(JSON_TYPE, '\x1f\x8b\b'), 415, 'UNSUPPORTED_TYPE', /gzip/],
  ['an empty body', events(JSON_TYPE, ''), 400, 'BAD_JSON', /empty/],
  ['a body without a type', events('', '{}'), 415, 'UNSUPPORTED_TYPE', /type/],
  ['a key __proto__', events(JSON_TYPE, '{"__proto__":{"id":"a"}}'), 400, 'BAD_JSON', /__proto__/],
  ['a nested key __proto__', events(JSON_TYPE, '[{"data":{"__proto__":{}}}]'), 400, 'BAD_JSON', /__proto__/],
  ['a prototype', events(JSON_TYPE, '{"constructor":{"prototype":{}}}'), 400, 'BAD_JSON', /constructor/],
  ['a truncated body', events(JSON_TYPE, '{"id":'), 400, 'BAD_JSON', /not JSON/],
])('answers an unusual request with an error body: %s', async (_name, text, status, code, message) => {
  const service = await serve();
  const socket = await dial(service);
  socket.write(text, 'latin1');
  const [headers = '', body = ''] = (await answerOf(socket)).split('\r\n\r\n');
  expect(headers).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  expect(JSON.parse(body)).toEqual({ code, message: expect.stringMatching(message), remedy: expect.any(String) });
  socket.destroy();
});

it('limits the unanswered requests of one connection', async () => {
  const service = await serve();
  const socket = await dial(service);
  // The first request waits for work, so the others wait behind it.
  const path = '/v1/orchestrator/work?wait=2';
  for (const each of [path, ...Array.from({ length: 100 }, () => '/healthz')])
    socket.write(`GET ${each} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n`);
  socket.write('GET /v1/none HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n');
  const answer = await answerOf(socket, 'never');
  expect(answer.match(/"alive":true/g)).toHaveLength(63);
  expect(answer.match(/"OVERLOADED"/g)).toHaveLength(38);
  expect((await service.get('/healthz')).status).toBe(200);
});
