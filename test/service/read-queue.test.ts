import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, it, onTestFinished } from 'vitest';
import { type Connection, type ReadLimits, ReadQueue } from '../../service/reads/read-queue.ts';
import type { ReadRequest, ReadSource } from '../../service/reads/read-request.ts';
import { scratchFolder } from '../support/landfall.ts';
import { declared, ledgerOf, serve, started } from './harness.ts';

const VMS: ReadRequest = { kind: 'vms', limit: 10 };

/** A ledger with one VM and one attempt, and a queue that reads it. */
async function reading(limits: Partial<ReadLimits> = {}) {
  const service = await serve();
  await service.post([declared(), started('m-1')]);
  const source: ReadSource = { which: 'live', files: [{ partition: 0, file: ledgerOf(service).path }] };
  const failures: unknown[] = [];
  const queue = new ReadQueue((failure) => failures.push(failure), limits);
  onTestFinished(() => queue.close());
  return { queue, source, failures, service };
}

class Client implements Connection {
  isClosed = false;
  destroy(): void {
    this.isClosed = true;
  }
}

const textOf = ({ bytes }: { readonly bytes: Uint8Array }) => new TextDecoder().decode(bytes);

it('starts the next read of a connection when the reply is taken', async () => {
  const { queue, source } = await reading();
  const client = new Client();
  const first = await queue.read(client, source, VMS);
  expect(JSON.parse(textOf(first))).toMatchObject({ items: [{ name: 'web' }], next: null });
  let hasSecond = false;
  const second = queue.read(client, source, VMS).finally(() => {
    hasSecond = true;
  });
  // The read of another client is answered meanwhile.
  (await queue.read(new Client(), source, VMS)).done();
  expect([hasSecond, queue.waiting, queue.bytesUnderWay]).toEqual([false, 1, first.bytes.byteLength]);
  first.done();
  (await second).done();
  expect([queue.waiting, queue.bytesUnderWay]).toEqual([0, 0]);
});

it('limits the waiting reads of one connection and of all', async () => {
  const { queue, source } = await reading({ waitingOfConnection: 2, waiting: 3 });
  const [client, other] = [new Client(), new Client()];
  const current = [await queue.read(client, source, VMS), await queue.read(other, source, VMS)];
  const waiting = [queue.read(client, source, VMS), queue.read(client, source, VMS)];
  await expect(queue.read(client, source, VMS)).rejects.toMatchObject({ code: 'OVERLOADED' });
  waiting.push(queue.read(other, source, VMS));
  await expect(queue.read(other, source, VMS)).rejects.toMatchObject({ code: 'READS_BUSY' });
  for (const reply of current) reply.done();
  for (const reply of waiting) (await reply).done();
  expect(queue.waiting).toBe(0);
});

it('refuses a read that waits too long', async () => {
  const { queue, source } = await reading({ waitMs: 50 });
  const client = new Client();
  await queue.read(client, source, VMS);
  await expect(queue.read(client, source, VMS)).rejects.toMatchObject({ code: 'READS_BUSY' });
  expect(queue.waiting).toBe(0);
});

it('closes stalled connections when the bytes under way reach their limit', async () => {
  const { queue, source } = await reading({ bytes: 1, stallMs: 200 });
  const [stalled, other] = [new Client(), new Client()];
  await queue.read(stalled, source, VMS);
  (await queue.read(other, source, VMS)).done();
  expect([stalled.isClosed, other.isClosed, queue.bytesUnderWay]).toEqual([true, false, 0]);
});

it('drops the reads of a connection that closed', async () => {
  const { queue, source } = await reading();
  const client = new Client();
  await queue.read(client, source, VMS);
  const waiting = queue.read(client, source, VMS);
  queue.forget(client);
  await expect(waiting).rejects.toMatchObject({ code: 'CLIENT_GONE' });
  const running = queue.read(client, source, VMS);
  queue.forget(client);
  await expect(running).rejects.toMatchObject({ code: 'CLIENT_GONE' });
  expect([queue.waiting, queue.bytesUnderWay]).toEqual([0, 0]);
  (await queue.read(client, source, VMS)).done();
});

it('replaces a reader thread that does not come back', { timeout: 60_000 }, async () => {
  const { queue, source, failures } = await reading({ threads: 1, runMs: 3000 });
  // While this connection has the file for itself, a reader waits longer than the queue allows.
  const file = join(scratchFolder(), 'ledger.db');
  const exclusive = new DatabaseSync(file);
  onTestFinished(() => exclusive.close());
  exclusive.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; CREATE TABLE held (x)');
  const stuck = { which: 'live', files: [{ partition: 0, file }] } as const;
  await expect(queue.read(new Client(), stuck, VMS)).rejects.toMatchObject({ code: 'READ_FAILED' });
  expect(failures).toHaveLength(1);
  await expect
    .poll(async () => JSON.parse(textOf(await queue.read(new Client(), source, VMS))), { timeout: 30_000 })
    .toMatchObject({ items: [{ name: 'web' }] });
});

it('continues a long read beside a short one on one thread', async () => {
  const { queue, source } = await reading({ threads: 1 });
  const past = queue.read(new Client(), source, { kind: 'vms', limit: 10, at: Date.now() });
  (await queue.read(new Client(), source, { kind: 'hosts' })).done();
  expect(JSON.parse(textOf(await past))).toMatchObject({ items: [{ name: 'web' }] });
});

it('rejects waiting reads when it closes', async () => {
  const { queue, source } = await reading();
  const client = new Client();
  await queue.read(client, source, VMS);
  const waiting = queue.read(client, source, VMS);
  const closed = queue.close();
  await expect(waiting).rejects.toMatchObject({ code: 'STOPPING' });
  await expect(queue.read(client, source, VMS)).rejects.toMatchObject({ code: 'STOPPING' });
  await closed;
});
