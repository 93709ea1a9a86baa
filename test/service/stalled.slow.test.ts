import type { Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { returned, serve } from './harness.ts';
import { dial, longNamed, startLongNamed, stoppedClient } from './sockets.ts';

/** Clients that stop reading while the service has more to send than the socket buffers hold. */

it('counts stalled streams in the limit of concurrent requests', async () => {
  const service = await serve({ logLevel: 'silent' });
  await startLongNamed(service, 5000);
  const sockets = await Promise.all(Array.from({ length: 16 }, () => stoppedClient(service.url, 'host-a')));
  const another = () => service.get('/v1/hosts/host-a/work?wait=0&limit=1');
  await expect.poll(another).toMatchObject({ status: 429, body: { code: 'OVERLOADED' } });
  expect((await service.get('/v1/hosts/host-b/work?wait=0&limit=1')).status).toBe(200);
  for (const socket of sockets) socket.destroy();
  await expect.poll(async () => (await another()).status).toBe(200);
});

it('buffers at most one page for a stalled reader', async () => {
  const service = await serve({ logLevel: 'silent' });
  const connections = new Set<Socket>();
  service.app.server.on('connection', (socket: Socket) => connections.add(socket));
  await startLongNamed(service, 5000);
  const slow: Socket[] = [];
  for (const path of ['/v1/hosts/host-a/work', '/v1/ledger?limit=1000']) {
    for (let each = 0; each < 8; each += 1) {
      const socket = await dial(service);
      socket.pause();
      const ask = `GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: text/event-stream\r\n\r\n`;
      socket.write(path.includes('ledger') ? ask.repeat(10) : ask);
      slow.push(socket);
    }
  }
  const buffered = () => [...connections].map((socket) => socket.writableLength);
  // The socket buffers are full once the service holds a part of a reply.
  await expect.poll(() => Math.max(...buffered())).toBeGreaterThan(0);
  await wait(2000);
  const kept = buffered();
  expect(Math.max(...kept)).toBeLessThan(8 * 1024 * 1024);
  expect(kept.filter((bytes) => bytes > 512 * 1024).length).toBeLessThanOrEqual(8);
  const began = performance.now();
  await service.post(Array.from({ length: 300 }, (_, number) => returned(...longNamed(number))));
  expect((await service.get('/readyz')).status).toBe(200);
  // A stop must not wait for the time limit of these streams.
  expect(performance.now() - began).toBeLessThan(20_000);
  for (const socket of slow) socket.destroy();
});
