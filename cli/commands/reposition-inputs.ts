import { randomUUID } from 'node:crypto';
import { type OffsetRange, inputsAltered } from '../../consumers/kafka/offset-range.ts';
import { delivered } from '../../consumers/kafka/input-record.ts';
import { consumedRecordOf, isSame, lastConsumedRecord } from '../../consumers/kafka/consumed-record.ts';
import { Partition } from '../../engine/partition/partition.ts';
import { Fault } from '../../events/fault.ts';
import { offsetRanges } from '../../kafka/topic-ends.ts';
import { inputsStream, nextInputsStream } from '../../log/kafka/inputs-stream.ts';
import type { KafkaLedger } from '../../log/kafka/ledger.ts';
import { recordAt } from '../../kafka/record-at.ts';
import type { Checkpoint, InputPosition, Owner, Progress } from '../../log/port.ts';
import { directory } from '../../projections/directory.ts';
import type { KafkaAccess } from '../../service/kafka-access.ts';
import type { Io } from '../io.ts';
import { withReplica } from '../topic-ledger.ts';

/**
 * Defines `landfall kafka accept-loss`: continues a partition after lost inputs or a recreated topic. An entry in the
 * partition's chain records the operator, the reason, and the old and new positions.
 */

export type Acceptance = {
  readonly reason: string;
  readonly operator: string;
  /** The offset at which consumption of a recreated topic starts. */
  readonly madeAnew?: 'begin' | 'end';
};

/** The cause type of the entry. It is not an input type, so clients cannot send it. */
const REPOSITIONED = 'landfall.inputs.repositioned.v1';
/** An input stream and the offset of the next input to consume. */
type StreamPosition = { readonly stream: string; readonly next: number };
type Move = {
  readonly from: StreamPosition;
  readonly to: StreamPosition;
  readonly inputPositions: readonly InputPosition[];
  readonly checkpoints: readonly Checkpoint[];
};

export async function repositionInputs(access: KafkaAccess, acceptance: Acceptance, io: Io): Promise<void> {
  await withReplica(access, async (ledger) => {
    let moved = 0;
    for (const [partition, held] of await offsetRanges(ledger.kafka, ledger.topics.inputs))
      if (await repositionPartition(ledger, { partition, held }, acceptance, io)) moved += 1;
    if (moved === 0) io.out('No inputs are missing, and no topic was recreated.');
  });
}

type Inputs = { readonly partition: number; readonly held: OffsetRange };

/** Repositions one partition if needed. Returns true if it did. @throws Fault INPUTS_ALTERED. */
async function repositionPartition(
  ledger: KafkaLedger,
  inputs: Inputs,
  acceptance: Acceptance,
  io: Io,
): Promise<boolean> {
  const { partition } = inputs;
  const isAltered = await isTopicRecreated(ledger, inputs);
  if (isAltered && acceptance.madeAnew === undefined) throw recreatedFault(ledger, partition);
  const moveFor = (progress: Progress) =>
    isAltered
      ? moveToRecreated(ledger, inputs, progress, acceptance.madeAnew ?? 'begin')
      : moveAfterLost(ledger, inputs, progress);
  // A partition without lost inputs stays with its owner.
  if (moveFor(ledger.replica(partition)) === null) return false;
  const owner = await ledger.claim(partition);
  try {
    const move = moveFor(owner);
    if (move === null) return false;
    await commit(ledger, owner, move, { ...acceptance, now: io.now() });
    io.out(moveText(move, isAltered));
    return true;
  } finally {
    await owner.release();
  }
}

function nextPosition(
  ledger: KafkaLedger,
  partition: number,
  { inputPositions, checkpoints }: Progress,
): StreamPosition {
  const stream = inputsStream(checkpoints, ledger.topics.inputs, partition);
  return { stream, next: (inputPositions.get(stream) ?? -1) + 1 };
}

/**
 * Uses the same check as the partition's owner: a topic was recreated if it ends before the consumed offset, or if the
 * last consumed record differs.
 */
async function isTopicRecreated(ledger: KafkaLedger, { partition, held }: Inputs): Promise<boolean> {
  const { partitions, topics, kafka } = ledger;
  const { stream, next } = nextPosition(ledger, partition, ledger.replica(partition));
  if (next > held.high) return true;
  const record = await lastConsumedRecord(ledger, partition, stream);
  if (record === null || held.low > record.offset) return false;
  const message = await recordAt(kafka, { topic: topics.inputs, partition, offset: record.offset });
  const offset = Number(message.offset);
  const item = delivered(message, { stream, offset, partition, partitions });
  return !isSame(record, consumedRecordOf(item, offset));
}

function moveAfterLost(ledger: KafkaLedger, { partition, held: { low } }: Inputs, progress: Progress): Move | null {
  const from = nextPosition(ledger, partition, progress);
  if (from.next >= low) return null;
  const to = { ...from, next: low };
  return { from, to, inputPositions: [{ stream: to.stream, offset: low - 1 }], checkpoints: [] };
}

/** Offsets of a recreated topic are not comparable with the old offsets, so its positions get a new stream name. */
function moveToRecreated(
  ledger: KafkaLedger,
  { partition, held: { low, high } }: Inputs,
  progress: Progress,
  where: 'begin' | 'end',
): Move {
  const { stream, mark } = nextInputsStream(progress.checkpoints, ledger.topics.inputs, partition);
  const to = { stream, next: where === 'begin' ? low : high };
  const inputPositions = to.next === 0 ? [] : [{ stream, offset: to.next - 1 }];
  return { from: nextPosition(ledger, partition, progress), to, inputPositions, checkpoints: [mark] };
}

async function commit(
  ledger: KafkaLedger,
  owner: Owner,
  { from, to, inputPositions, checkpoints }: Move,
  { reason, operator, now }: Acceptance & { readonly now: number },
): Promise<void> {
  const { partition } = owner;
  const past = directory(ledger.replica(partition).ledger.readConnection());
  const decisions = new Partition(past, (identities) => owner.recall(identities));
  decisions.note(
    { type: REPOSITIONED, source: 'landfall:cli', id: randomUUID(), data: { from, to, reason, operator } },
    now,
  );
  await owner.commit({ entries: decisions.drain().batch.entries, inputPositions, checkpoints });
}

function moveText({ from, to }: Move, isAltered: boolean): string {
  if (isAltered)
    return `${from.stream}: the topic was recreated after offset ${from.next}; consumption continues at offset ${to.next} as ${to.stream}`;
  return `${from.stream}: inputs ${from.next} to ${to.next - 1} are lost; consumption continues after them`;
}

function recreatedFault(ledger: KafkaLedger, partition: number): Fault {
  const { stream } = nextPosition(ledger, partition, ledger.replica(partition));
  const { code, message } = inputsAltered(stream);
  return new Fault(
    code,
    message,
    'Restore the topic with its offsets, or continue with the present topic: --made-anew begin consumes all of it ' +
      '(inputs that were decided within the deduplication horizon are recognised), --made-anew end skips all of it.',
  );
}
