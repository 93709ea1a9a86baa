import { expect, it } from 'vitest';
import { declared, serve, started, VM } from './harness.ts';

/** Reader threads answer reads. */

const READS = [
  '/v1/vms',
  `/v1/vms/${VM}`,
  `/v1/vms/${VM}/history`,
  '/v1/migrations',
  '/v1/migrations/m-1',
  '/v1/migrations/m-1/entries',
  '/v1/dead-letters',
  '/v1/hosts',
  '/v1/ledger',
];
const TIMED = ['/v1/vms', `/v1/vms/${VM}`, `/v1/vms/${VM}/history`, '/v1/migrations', '/v1/migrations/m-1'];

it('answers every read without the connections of the deciding thread', async () => {
  const service = await serve();
  await service.post([declared(), started('m-1')]);
  const refuse = () => {
    throw new Error('the thread that decides read a page');
  };
  for (const part of service.engine.parts) {
    Object.assign(part.db, { prepare: refuse });
    const { ledger } = part;
    Object.assign(ledger, { readUnparsed: refuse, readVm: refuse, readMigration: refuse, head: refuse });
  }
  const timed = TIMED.map((path) => `${path}?at=${Date.now()}`);
  for (const path of [...READS, ...timed]) expect([path, (await service.get(path)).status]).toEqual([path, 200]);
});
