import type { IHeaders, Message } from 'kafkajs';

/**
 * A record of a batch (format v2) as bytes, in the words of Kafka's protocol:
 *
 *   length varint, attributes int8, timestampDelta varlong, offsetDelta varint, key, value: varint + bytes,
 *   headers: varint + [key: varint + string, value: varint + bytes]
 *
 * kafkajs gives each record and each of its headers zeroed buffers of their own, which grow and are copied: a sixth of all
 * that the thread that decides had to do. Here records lie one behind the other in memory that they share.
 */

/** What kafkajs hands to its encoder. `timestampDelta` is in milliseconds. */
export type RecordFields = Pick<Message, 'value' | 'headers'> & {
  readonly key?: Message['key'] | undefined;
  readonly offsetDelta?: number;
  readonly timestampDelta?: number;
};

/** What kafkajs expects of an encoder of its own: it looks whether `buf` is a buffer, and copies `buffer`. */
export type Encoded = { readonly buf: Buffer; readonly buffer: Buffer };

type Bytes = Buffer | string;

const SHARED_BYTES = 256 * 1024;
const VARINT_BYTES_MAX = 10;
/** Attributes, the two deltas, and how many bytes and headers there are. */
const NUMBERS_BYTES_MAX = 1 + 5 * VARINT_BYTES_MAX;
const UTF8_BYTES_MAX = 3;
const NONE = -1;

let shared = Buffer.alloc(0);
/** Where the next byte goes. */
let at = 0;

export function encodeRecord({ offsetDelta = 0, timestampDelta = 0, key, value, headers = {} }: RecordFields): Encoded {
  const count = reserveFor(key, value, headers);
  // The length comes first and is known last: its bytes are put right before the body.
  at += VARINT_BYTES_MAX;
  const body = at;
  shared[at++] = 0;
  writeVarint(timestampDelta);
  writeVarint(offsetDelta);
  writeBytes(key);
  writeBytes(value);
  writeVarint(count);
  for (const name in headers) {
    const content = headers[name];
    if (!Array.isArray(content)) writeHeader(name, content);
    else for (const each of content) writeHeader(name, each);
  }
  const end = at;
  const begin = body - sizeOfVarint(end - body);
  at = begin;
  writeVarint(end - body);
  at = end;
  return { buf: shared, buffer: shared.subarray(begin, end) };
}

/** Room for the record, be its characters as large as they may. @returns how many headers it has: one may be given several times. */
function reserveFor(key: Bytes | null | undefined, value: Bytes | null, headers: IHeaders): number {
  let most = VARINT_BYTES_MAX + NUMBERS_BYTES_MAX + mostOf(key) + mostOf(value);
  let count = 0;
  for (const name in headers) {
    const content = headers[name];
    for (const each of Array.isArray(content) ? content : [content]) {
      most += mostOf(name) + mostOf(each);
      count += 1;
    }
  }
  // Memory that is full is left to the records that are in it.
  if (at + most > shared.length) {
    shared = Buffer.allocUnsafeSlow(Math.max(SHARED_BYTES, most));
    at = 0;
  }
  return count;
}

function mostOf(bytes: Bytes | null | undefined): number {
  const length = bytes?.length ?? 0;
  return VARINT_BYTES_MAX + (typeof bytes === 'string' ? length * UTF8_BYTES_MAX : length);
}

function writeHeader(name: string, content: Bytes | undefined): void {
  writeBytes(name);
  writeBytes(content);
}

function writeBytes(bytes: Bytes | null | undefined): void {
  if (bytes === null || bytes === undefined) return writeVarint(NONE);
  if (typeof bytes === 'string') return writeText(bytes);
  writeVarint(bytes.length);
  at += bytes.copy(shared, at);
}

/** To count its bytes before takes longer than to write it: it is moved where it had more of them than characters. */
function writeText(text: string): void {
  const begin = at;
  const supposed = begin + sizeOfVarint(text.length);
  const length = shared.write(text, supposed);
  const right = begin + sizeOfVarint(length);
  if (right !== supposed) shared.copyWithin(right, supposed, supposed + length);
  writeVarint(length);
  at += length;
}

/** Numbers near zero, of either sign, are short. */
const zigzag = (value: number): number => (value < 0 ? -2 * value - 1 : 2 * value);

/** No bitwise operation: a time does not fit into 32 bits. */
function writeVarint(value: number): void {
  let rest = zigzag(value);
  for (; rest >= 128; rest = Math.floor(rest / 128)) shared[at++] = (rest % 128) + 128;
  shared[at++] = rest;
}

function sizeOfVarint(value: number): number {
  let size = 1;
  for (let rest = zigzag(value); rest >= 128; rest = Math.floor(rest / 128)) size += 1;
  return size;
}
