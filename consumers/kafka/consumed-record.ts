import type { Entry } from '../../events/entries.ts';
import type { Ledger } from '../../log/port.ts';
import type { Delivered } from '../../engine/partition-loop.ts';

/**
 * The newest input of a partition that left an entry: who asks the topic for the record at its place, and finds another one
 * there, reads another topic than the one that was read before. Offsets alone do not tell: a topic that was made anew may have
 * been filled again.
 */
export type ConsumedRecord = {
  readonly offset: number;
  readonly source: string;
  readonly id: string;
  readonly digest: string;
};

/** An end of the ledger without a single input is one of timers, or of what was recognised as a duplicate. */
const ENTRIES_LOOKED_AT = [200, 10_000] as const;

/** Null: there is none at the ledger's end. */
export async function lastConsumedRecord(
  ledger: Pick<Ledger, 'head' | 'read'>,
  partition: number,
  stream: string,
): Promise<ConsumedRecord | null> {
  const { sequence } = await ledger.head(partition);
  for (const count of ENTRIES_LOOKED_AT) {
    let newest: ConsumedRecord | null = null;
    for await (const { entry } of ledger.read(partition, Math.max(1, sequence - count + 1)))
      newest = consumedRecordIn(entry, stream) ?? newest;
    if (newest !== null) return newest;
  }
  return null;
}

/** What was none that could be read may be one for another version: it is no record. */
function consumedRecordIn({ cause }: Entry, stream: string): ConsumedRecord | null {
  if (cause.kind !== 'input' || cause.stream !== stream || cause.offset === undefined) return null;
  const { offset, source, id, digest } = cause;
  return { offset, source, id, digest };
}

/** What was delivered, as the record that it will be. */
export function consumedRecordOf(item: Delivered, offset: number): ConsumedRecord | null {
  if (!('input' in item)) return null;
  const { source, id, digest } = item.input;
  return { offset, source, id, digest };
}

export function isSame(one: ConsumedRecord, other: ConsumedRecord | null): boolean {
  return (
    other !== null &&
    one.offset === other.offset &&
    one.source === other.source &&
    one.id === other.id &&
    one.digest === other.digest
  );
}
