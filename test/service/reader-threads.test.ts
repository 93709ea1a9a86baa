import { expect, it } from 'vitest';
import { declared, serve, started, VM } from './harness.ts';
import { readPaths, refuseReadsOfDecidingThread } from './refused-reads.ts';

/** Reader threads answer reads. */

it('answers every read without the connections of the deciding thread', async () => {
  const service = await serve();
  await service.post([declared(), started('m-1')]);
  refuseReadsOfDecidingThread(service);
  for (const path of readPaths(VM, 'm-1')) expect([path, (await service.get(path)).status]).toEqual([path, 200]);
});
