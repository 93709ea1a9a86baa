import { once } from 'node:events';
import { get } from 'node:http';
import { connect, type Socket } from 'node:net';
import { expect, it } from 'vitest';
import { declared, event, serve, type Served, started } from './harness.ts';

/** Reader threads answer reads, so reads delay neither inputs nor health, and their memory is bounded. */

const MIB = 1024 * 1024;
/** Starts a service whose first ledger page has 1,000 entries with texts of this length. */
async function withPage(length: number): Promise<Served> {
  const service = await serve({ logLevel: 'silent', requestsPerSecondMax: 100_000 });
  await service.post([declared(), started('m-1')]);
  const error = 'x'.repeat(length);
  const acted = () => event('operator.acted', { action: 'look', ok: false, error });
  expect((await service.post(Array.from({ length: 1000 }, acted))).status).toBe(202);
  return service;
}

it('bounds the memory of pipelined reads that a client never takes', { timeout: 120_000 }, async () => {
  const service = await withPage(2500);
  const sockets = new Set<Socket>();
  service.app.server.on('connection', (socket: Socket) => sockets.add(socket));
  const before = process.memoryUsage().rss;
  const { hostname, port } = new URL(service.url);
  const stalled = connect(Number(port), hostname).pause();
  stalled.on('error', () => {});
  await once(stalled, 'connect');
  stalled.write('GET /v1/ledger?limit=1000 HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n'.repeat(1900));
  await expect.poll(() => [...sockets][0]?.writableLength, { timeout: 30_000 }).toBeGreaterThan(0);
  for (let each = 0; each < 20; each += 1) {
    expect((await service.get('/healthz')).status).toBe(200);
    expect((await service.post(declared())).status).toBe(202);
    expect((await service.get('/v1/ledger?limit=10')).status).toBe(200);
  }
  expect([...sockets][0]?.writableLength).toBeLessThan(8 * MIB);
  expect(process.memoryUsage().rss - before).toBeLessThan(400 * MIB);
  stalled.destroy();
});

it('stays ready and accepts inputs while 300 large pages are read', { timeout: 240_000 }, async () => {
  const service = await withPage(200);
  let left = 300;
  const pages = Array.from({ length: left }, () =>
    statusOf(`${service.url}/v1/ledger?limit=1000`).finally(() => {
      left -= 1;
    }),
  );
  const statuses = Promise.all(pages);
  let answered = 0;
  while (left > 0) {
    expect((await service.get('/readyz')).status).toBe(200);
    expect((await service.post(declared())).status).toBe(202);
    if (left > 0) answered += 1;
  }
  expect(answered).toBeGreaterThan(5);
  // On a busy machine some reads wait longer than the limit of a wait.
  expect(new Set([200, 503]).isSupersetOf(new Set(await statuses))).toBe(true);
  expect(await statuses).toContain(200);
});

/** Reads a reply without keeping it. Returns its status. */
function statusOf(url: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    get(url, { agent: false }, (response) => {
      response.on('end', () => resolve(response.statusCode)).resume();
    }).on('error', reject);
  });
}
