import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { connect } from 'node:net';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { assert, expect, it, onTestFinished } from 'vitest';
import { scratchFolder, start } from '../support/landfall.ts';
import { client, declared, event, type Served, started } from './harness.ts';

/**
 * Reader threads answer reads, so reads delay neither inputs nor health, and their memory is bounded. The service is a process of its
 * own, so that its memory and its replies are measured without those of the clients.
 */

const MIB = 1024 * 1024;
const ENTRIES = 1000;
/** The heap limit of a reader thread, and the limit of the replies under way with the same amount for the sockets. */
const THREAD_BYTES = 272 * MIB;
const UNDER_WAY_BYTES = 128 * MIB;
const GROWTH_BYTES_MAX =
  Math.min(4, Math.max(2, Math.floor(availableParallelism() / 2))) * THREAD_BYTES + UNDER_WAY_BYTES;
/** The replies before reads had threads of their own came after 4 s to 10 s, or never. */
const HEALTH_MS_MAX = 2000;
const hasProc = existsSync('/proc/self/clear_refs');

class Service {
  readonly url: string;
  readonly #child: ChildProcess;
  readonly get: Served['get'];
  readonly post: Served['post'];
  /** The times that health checks took, in milliseconds. */
  readonly healthMs: number[] = [];

  private constructor(child: ChildProcess, url: string) {
    this.#child = child;
    this.url = url;
    const { get: read, post } = client(() => url);
    this.get = read;
    this.post = post;
  }

  /** Starts a service whose first ledger page has 1,000 entries with texts of this length. */
  static async withPage(length: number): Promise<Service> {
    const db = join(scratchFolder(), 'ledger.db');
    const limit = ['--log-level', 'silent', '--set', 'requestsPerSecondMax=100000'];
    const child = start(['serve', '--no-recordings', '--port', '0', '--db', db, ...limit]);
    onTestFinished(async () => {
      const closed = once(child, 'close');
      child.kill('SIGKILL');
      await closed;
    });
    let text = '';
    while (!text.includes('listens on')) text += String((await once(child.stdout ?? child, 'data'))[0]);
    const service = new Service(child, /listens on (\S+),/.exec(text)?.[1] ?? '');
    assert.equal((await service.post([declared(), started('m-1')])).status, 202);
    const error = 'x'.repeat(length);
    const acted = () => event('operator.acted', { action: 'look', ok: false, error });
    assert.equal((await service.post(Array.from({ length: ENTRIES }, acted))).status, 202);
    return service;
  }

  /** Sets the peak of the memory to the present value. @returns the present value in bytes. */
  resetPeak(): number {
    writeFileSync(`/proc/${this.#child.pid}/clear_refs`, '5');
    return this.#memory('VmRSS');
  }

  get peakBytes(): number {
    return this.#memory('VmHWM');
  }

  #memory(name: string): number {
    const status = readFileSync(`/proc/${this.#child.pid}/status`, 'utf8');
    return Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1]) * 1024;
  }

  /** Checks that the service is alive and takes an input. */
  async use(): Promise<void> {
    const began = performance.now();
    assert.equal((await this.get('/healthz')).status, 200);
    this.healthMs.push(performance.now() - began);
    assert.equal((await this.get('/readyz')).status, 200);
    assert.equal((await this.post(declared())).status, 202);
  }
}

it.runIf(hasProc)('bounds the memory of pipelined reads that a client never takes', { timeout: 120_000 }, async () => {
  const service = await Service.withPage(2500);
  const before = service.resetPeak();
  const { hostname, port } = new URL(service.url);
  const stalled = connect(Number(port), hostname).pause();
  stalled.on('error', () => {});
  await once(stalled, 'connect');
  stalled.write('GET /v1/ledger?limit=1000 HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n'.repeat(1900));
  for (let each = 0; each < 100; each += 1) {
    await service.use();
    expect((await service.get('/v1/ledger?limit=10')).status).toBe(200);
  }
  expect(Math.max(...service.healthMs)).toBeLessThan(HEALTH_MS_MAX);
  expect(service.peakBytes - before).toBeLessThan(GROWTH_BYTES_MAX);
  // The stalled client gets its replies as soon as it reads.
  const reply = String((await once(stalled.resume(), 'data'))[0]);
  expect(reply).toMatch(/^HTTP\/1\.1 200 OK/);
  stalled.destroy();
});

it.runIf(hasProc)('stays ready and accepts inputs while 300 large pages are read', { timeout: 240_000 }, async () => {
  const service = await Service.withPage(2500);
  const before = service.resetPeak();
  let left = 300;
  const pages = Array.from({ length: left }, () =>
    statusOf(`${service.url}/v1/ledger?limit=1000`).finally(() => {
      left -= 1;
    }),
  );
  const statuses = Promise.all(pages);
  while (left > 0) await service.use();
  expect(service.healthMs.length).toBeGreaterThan(5);
  expect(Math.max(...service.healthMs)).toBeLessThan(HEALTH_MS_MAX);
  expect(service.peakBytes - before).toBeLessThan(GROWTH_BYTES_MAX);
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
