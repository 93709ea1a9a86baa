import type { Entry } from '../../events/entries.ts';
import type { Ledger } from '../../log/port.ts';
import type { Delivered } from '../../engine/partition-loop.ts';

/**
 * An input that the ledger consumed. A recreated topic has another record at the same offset; the offset alone cannot reveal
 * that, because a recreated topic may be filled again.
 */
export type ConsumedRecord = {
  readonly offset: number;
  readonly source: string;
  readonly id: string;
  readonly digest: string;
};

/**
 * The numbers of newest entries that the first and the second search read. A tail without inputs has only timers or
 * duplicates.
 */
const ENTRIES_LOOKED_AT = [200, 10_000] as const;

/** Returns the partition's last consumed input; null if the ledger's tail has none. */
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

/** Returns the reference record in an entry; null for a malformed record, which may be valid for another version. */
function consumedRecordIn({ cause }: Entry, stream: string): ConsumedRecord | null {
  if (cause.kind !== 'input' || cause.stream !== stream || cause.offset === undefined) return null;
  const { offset, source, id, digest } = cause;
  return { offset, source, id, digest };
}

/** Returns the reference record of a delivered input; null if the record is malformed. */
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
