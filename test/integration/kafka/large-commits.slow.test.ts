import { randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { entryOfInput, vmOf } from '../../support/entries.ts';
import { brokersForTests } from './brokers/index.ts';
import { forTest } from './instances.ts';
import { scratchTopics } from './scratch.ts';

const shared = await brokersForTests();

it.skipIf(shared === null)('reads a commit larger than any record batch as a whole', { timeout: 60_000 }, async () => {
  const scratch = forTest(await scratchTopics(shared?.bootstrap ?? [], 1));
  const one = await scratch.open('one');
  const two = await scratch.open('two');
  const owner = await one.claim(0);
  // The entries do not compress: 48 MiB for a topic that accepts batches of 32 MiB.
  const words = () => randomBytes(768 * 1024).toString('base64');
  const entries = Array.from({ length: 64 }, (_, nth) =>
    entryOfInput(`large-${nth}`, { vm: vmOf(nth), content: words() }),
  );
  const head = await owner.commit({ entries, inputPositions: [{ stream: 's', offset: 7 }] });
  await owner.commit({ entries: [entryOfInput('next')], inputPositions: [] });
  const next = await two.claim(0);
  expect([head.sequence, next.claimedHead.sequence, next.inputPositions.get('s')]).toEqual([64, 65, 7]);
  await Promise.all([one.close(), two.close()]);
});
