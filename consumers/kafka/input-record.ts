import { INPUT_BYTES_MAX, toInput } from '../../events/cloud-event.ts';
import { Fault, messageOf } from '../../events/fault.ts';
import { sha256 } from '../../log/chain.ts';
import { keptOf, requireUtf8 } from '../../log/kept-bytes.ts';
import { partitionOf } from '../../kafka/partitioner.ts';
import type { Delivered } from '../../engine/partition-loop.ts';
import type { InputPosition } from '../../log/port.ts';

/** A record of the topic of inputs: a CloudEvent as JSON. The key is the VM's UUID; inputs about the site have no key. */
export type InputRecord = { readonly key: Buffer | null; readonly value: Buffer | null };

/** The topic partition and offset of a record, and the topic's number of partitions. */
export type RecordPlace = InputPosition & { readonly partition: number; readonly partitions: number };

/** Decodes a record. A malformed record becomes a dead letter with its first bytes and does not stop the partition. */
export function delivered({ key, value }: InputRecord, place: RecordPlace): Delivered {
  const at = { stream: place.stream, offset: place.offset };
  try {
    const input = toInput(jsonOf(value), sha256);
    if (input.vm !== null) requirePlace(input.vm, key, place);
    return { input, at };
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return { malformed: { ...at, ...keptOf(value ?? Buffer.alloc(0)), fault: error } };
  }
}

function jsonOf(value: Buffer | null): unknown {
  if (value === null) throw new Fault('BAD_JSON', 'the record has no value', 'Send a CloudEvent as JSON.');
  if (value.length > INPUT_BYTES_MAX) {
    const remedy = 'Send a reference to large data instead of the data.';
    throw new Fault('TOO_LARGE', `${value.length} bytes: the limit of an input is 1 MiB`, remedy);
  }
  requireUtf8(value);
  try {
    return JSON.parse(value.toString());
  } catch (error) {
    throw new Fault('BAD_JSON', messageOf(error), 'Send one CloudEvent as JSON per record.', error);
  }
}

/** @throws Fault BAD_KEY if the record is not in its VM's partition, the only one that decides inputs of this VM. */
function requirePlace(vm: string, key: Buffer | null, { partition, partitions }: RecordPlace): void {
  const remedy = 'Use the VM’s UUID in lower case as the key, and Kafka’s default partitioner.';
  if (key === null) throw new Fault('BAD_KEY', 'the record has no key', remedy);
  if (key.toString() !== vm) {
    throw new Fault('BAD_KEY', `the key is ${JSON.stringify(key.toString().slice(0, 255))}, the subject ${vm}`, remedy);
  }
  const right = partitionOf(vm, partitions);
  if (right === partition) return;
  throw new Fault('BAD_KEY', `the record is in partition ${partition}, its VM belongs to ${right}`, remedy);
}
