import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { declared, returned, serve, type Served, started } from './harness.ts';

/** Clients that misbehave on real sockets: nothing of theirs is taken, and nobody else notices. */

async function dial({ url }: Served): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

/** @param length null: the rest of the head follows. */
const head = (length: number | null) =>
  `POST /v1/events HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n${length === null ? '' : `content-length: ${length}\r\n\r\n`}`;

async function answerOf(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  await Promise.race([once(socket, 'close'), wait(1500)]);
  return Buffer.concat(chunks).toString();
}

it('takes nothing of a body that was torn off', async () => {
  const service = await serve();
  const body = JSON.stringify(declared());
  for (const cut of [0, 1, Math.floor(body.length / 2), body.length - 1]) {
    const socket = await dial(service);
    socket.write(head(body.length) + body.slice(0, cut));
    await wait(20);
    socket.destroy();
  }
  const socket = await dial(service);
  socket.end(head(body.length) + body.slice(0, 20));
  expect(await answerOf(socket)).not.toMatch(/^HTTP\/1.1 (2|5)/);
  await expect.poll(async () => (await service.get('/readyz')).body['position']).toBe('0:0');
});

it('refuses what cannot wait, by its length, before it has come', async () => {
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
  ['a version that there is not', 'GET / HTTP/9.9\r\n\r\n', 400, 'BAD_REQUEST'],
  ['a chunk without a length', `${head(null)}transfer-encoding: chunked\r\n\r\nzz\r\n`, 400, 'BAD_REQUEST'],
  ['two lengths', `${head(null)}content-length: 3\r\ncontent-length: 4\r\n\r\n{}`, 400, 'BAD_REQUEST'],
  [
    'a length and chunks',
    `${head(null)}content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
    400,
    'BAD_REQUEST',
  ],
  ['endless headers', `GET /healthz HTTP/1.1\r\nhost: a\r\nx: ${'x'.repeat(100_000)}\r\n\r\n`, 431, 'TOO_LARGE'],
])('answers what is no HTTP like any other error, and goes on: %s', async (_name, text, status, code) => {
  const service = await serve();
  const socket = await dial(service);
  socket.write(text, 'latin1');
  const answer = await answerOf(socket);
  const [headers = '', body = ''] = answer.split('\r\n\r\n');
  expect(headers).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  expect(JSON.parse(body)).toEqual({ code, message: expect.any(String), remedy: expect.any(String) });
  expect(socket.closed).toBe(true);
  expect((await service.get('/healthz')).status).toBe(200);
});

it('is not held up by a reader that does not read', async () => {
  const service = await serve();
  const vm = (number: number) => `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`;
  const numbers = Array.from({ length: 300 }, (_, number) => number);
  await service.post(numbers.map((number) => declared(vm(number))));
  await service.post(numbers.map((number) => started(`m-${number}`, vm(number))));
  const slow: Socket[] = [];
  for (let each = 0; each < 20; each += 1) {
    const socket = await dial(service);
    socket.pause();
    socket.write('GET /v1/ledger?limit=1000 HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n'.repeat(5));
    socket.write('GET /v1/hosts/host-a/work HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: text/event-stream\r\n\r\n');
    slow.push(socket);
  }
  await wait(200);
  const began = performance.now();
  await service.post(numbers.map((number) => returned(`m-${number}`, vm(number))));
  expect((await service.get('/readyz')).status).toBe(200);
  expect(performance.now() - began).toBeLessThan(5000);
  for (const socket of slow) socket.destroy();
});
