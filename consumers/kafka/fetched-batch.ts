import { COMMIT_BYTES, type Delivered, INPUTS_PER_COMMIT } from '../../engine/partition-loop.ts';
import type { FetchedBatch } from '../../kafka/port.ts';
import { delivered } from './input-record.ts';

/** A batch fetched from the topic of inputs: decoded inputs with their offsets and sizes. */

type Item = { readonly item: Delivered; readonly offset: number; readonly bytes: number };

export type Fetched = {
  readonly items: readonly Item[];
  /** The requested offset. */
  readonly from: number;
  /** The offset after the last record, transaction markers included. */
  readonly until: number;
  /** The offset after the partition's last record at the time of the fetch. */
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

/**
 * Returns whether the batch leaves no gap behind the offsets read so far, and the topic still holds the accepted
 * inputs.
 */
export function follows({ from, high }: Fetched, next: number, read: number): boolean {
  return from <= Math.max(next, read) && high >= next;
}

export const bytesOf = (items: readonly Item[]): number => items.reduce((sum, { bytes }) => sum + bytes, 0);

/**
 * Splits a batch into parts that fit into one commit each, so that a part is decided while another is committed. An input about
 * the site gets a part of its own, because it may write an entry for every open attempt.
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
