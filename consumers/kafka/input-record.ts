import { INPUT_BYTES_MAX, toInput } from '../../events/cloud-event.ts';
import { Fault, messageOf } from '../../events/fault.ts';
import { sha256 } from '../../log/chain.ts';
import { keptOf } from '../../log/kept-bytes.ts';
import { partitionOf } from '../../kafka/partitioner.ts';
import type { Delivered } from '../../engine/partition-loop.ts';
import type { InputPosition } from '../../log/port.ts';

/** A record of the topic of inputs: a CloudEvent as JSON, its key the VM's UUID; what concerns the site has no key. */
export type InputRecord = { readonly key: Buffer | null; readonly value: Buffer | null };

/** Where it was read. */
export type Place = InputPosition & { readonly partition: number; readonly partitions: number };

/** The record as an input; what is none becomes a dead letter with its first bytes, and the partition goes on. */
export function delivered({ key, value }: InputRecord, place: Place): Delivered {
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
    const remedy = 'Send references to large data, not the data.';
    throw new Fault('TOO_LARGE', `${value.length} bytes: an input has 1 MiB at most`, remedy);
  }
  try {
    return JSON.parse(value.toString());
  } catch (error) {
    throw new Fault('BAD_JSON', messageOf(error), 'Each record is one CloudEvent as JSON.', error);
  }
}

/** Inputs of one VM are decided in one partition: one that came into another is nobody's there. */
function requirePlace(vm: string, key: Buffer | null, { partition, partitions }: Place): void {
  const remedy = 'The key is the VM’s UUID in lower case, and Kafka’s default partitioner chooses the partition.';
  if (key === null) throw new Fault('BAD_KEY', 'the record has no key', remedy);
  if (key.toString() !== vm) {
    throw new Fault('BAD_KEY', `the key is ${JSON.stringify(key.toString().slice(0, 255))}, the subject ${vm}`, remedy);
  }
  const right = partitionOf(vm, partitions);
  if (right === partition) return;
  throw new Fault('BAD_KEY', `the record is in partition ${partition}, its VM belongs to ${right}`, remedy);
}
