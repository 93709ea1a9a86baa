import { TopicEnds } from '../../log/kafka/ends.ts';
import type { KafkaLedger } from '../../log/kafka/ledger.ts';
import { streamOf } from '../../log/kafka/options.ts';
import type { KafkaAccess } from '../../service/kafka-access.ts';
import type { Io } from '../io.ts';
import { copied } from '../topics.ts';

/** Lets partitions go on behind inputs that the topic no longer has, and names them. */
export async function acceptLoss(access: KafkaAccess, io: Io): Promise<void> {
  await copied(access, async (ledger) => {
    const ends = new TopicEnds(ledger.kafka, ledger.topics.inputs);
    try {
      let count = 0;
      for (const [partition, { low }] of await ends.held()) count += await goBehind(ledger, partition, low, io);
      io.out(count === 0 ? 'Nothing is missing.' : `${count} input(s) are given up.`);
    } finally {
      await ends.close();
    }
  });
}

async function goBehind(ledger: KafkaLedger, partition: number, low: number, io: Io): Promise<number> {
  const stream = streamOf(ledger.topics.inputs, partition);
  const nextIn = (positions: ReadonlyMap<string, number>) => (positions.get(stream) ?? -1) + 1;
  // A partition that lacks nothing is left to its owner.
  if (nextIn(ledger.copy(partition).positions) >= low) return 0;
  const owner = await ledger.claim(partition);
  try {
    const next = nextIn(owner.positions);
    if (next >= low) return 0;
    await owner.commit({ entries: [], positions: [{ stream, offset: low - 1 }] });
    io.out(`${stream}: inputs ${next} to ${low - 1} are given up`);
    return low - next;
  } finally {
    await owner.release();
  }
}
