import { COMMIT_BYTES, type Delivered, INPUTS_PER_COMMIT } from '../../engine/partition-loop.ts';
import type { FetchedBatch } from '../../kafka/port.ts';
import { delivered } from './input-record.ts';

/** What one fetch brought, as inputs with their sizes and places. */

type Item = { readonly item: Delivered; readonly offset: number; readonly bytes: number };

export type Fetched = {
  readonly items: readonly Item[];
  /** The offset that was asked for. */
  readonly from: number;
  /** The offset after the last record, markers of transactions included. */
  readonly until: number;
  /** The partition's end at that time. */
  readonly high: number;
};

export function fetchedOf(
  { partition, records, from, next, high }: FetchedBatch,
  partitions: number,
  stream: string,
): Fetched {
  const items = records.map((record): Item => {
    const { offset } = record;
    const bytes = record.value?.length ?? 0;
    return { item: delivered(record, { stream, offset, partition, partitions }), offset, bytes };
  });
  return { items, from, until: next, high };
}

/** Whether it was fetched no further than inputs were taken or the topic was read, from a topic that holds what was taken. */
export function follows({ from, high }: Fetched, next: number, read: number): boolean {
  return from <= Math.max(next, read) && high >= next;
}

export const bytesOf = (items: readonly Item[]): number => items.reduce((sum, { bytes }) => sum + bytes, 0);

/**
 * In parts, so that one is worked on while another is committed, and none is more than a transaction takes. What concerns the
 * site is alone in its part: it may touch each open attempt.
 */
export function partsOf(items: readonly Item[]): Item[][] {
  const parts: Item[][] = [];
  let room = { inputs: 0, bytes: 0 };
  for (const item of items) {
    const isSite = 'input' in item.item && item.item.input.vm === null;
    const last = parts.at(-1);
    if (last === undefined || isSite || room.inputs <= 0 || room.bytes < item.bytes) {
      parts.push([item]);
      room = isSite ? { inputs: 0, bytes: 0 } : { inputs: INPUTS_PER_COMMIT - 1, bytes: COMMIT_BYTES - item.bytes };
    } else {
      last.push(item);
      room = { inputs: room.inputs - 1, bytes: room.bytes - item.bytes };
    }
  }
  return parts;
}
