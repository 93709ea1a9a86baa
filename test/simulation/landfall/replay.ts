import { Partition } from '../../../engine/partition/partition.ts';
import { WALL } from '../../../events/vocabulary.ts';
import { MemoryLedger } from '../../support/memory-ledger.ts';
import type { Sim } from '../world/sim.ts';
import type { Operation } from './recorder.ts';
import type { Service } from './service.ts';

/**
 * Replays the same inputs and deadlines in other batches on a partition without kills. The resulting ledger must be identical.
 */
export async function checkReplays(sim: Sim, { ledger, operations }: Service): Promise<void> {
  const random = sim.random('replay');
  const single = operations.map((operation) => [operation]);
  const merged: Operation[][] = [];
  for (let from = 0; from < operations.length; ) {
    const count = random.integer(1, 12);
    merged.push(operations.slice(from, from + count));
    from += count;
  }
  for (const [name, batches] of [['split', single] as const, ['merged', merged] as const])
    compare(sim, name, ledger, await replay(batches));
}

function compare(sim: Sim, name: string, original: MemoryLedger, repeated: MemoryLedger): void {
  const index = original.stored.findIndex(({ hash }, nth) => hash !== repeated.stored[nth]?.hash);
  if (index < 0 && original.stored.length === repeated.stored.length) return;
  const [was, is] = [original.stored[index]?.text, repeated.stored[index]?.text];
  sim.violate('batches', `${name}: entry ${index + 1} differs: ${difference(was ?? '', is ?? '')}`);
}

function difference(one: string, other: string): string {
  let at = 0;
  while (at < one.length && one[at] === other[at]) at += 1;
  return `…${one.slice(Math.max(0, at - 60), at + 80)}… and …${other.slice(Math.max(0, at - 60), at + 80)}…`;
}

async function replay(batches: readonly (readonly Operation[])[]): Promise<MemoryLedger> {
  const ledger = new MemoryLedger();
  const owner = await ledger.claim();
  const partition = new Partition(ledger, (identities) => owner.recall(identities));
  for (const batch of batches) {
    for (const { now, input } of batch) {
      if (input === null) partition.fire(now, WALL);
      else partition.take(input, null, now, WALL);
    }
    const { batch: drained, committed } = partition.drain();
    await owner.commit(drained);
    committed();
  }
  return ledger;
}
