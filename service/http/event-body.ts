import type { FastifyRequest } from 'fastify';
import { INPUT_BYTES_MAX } from '../../events/cloud-event.ts';
import { Fault } from '../../events/fault.ts';
import { type Submission, submissionOf } from '../engine/engine.ts';
import { BadBatch, type BadMember } from './bad-batch.ts';

/** Reads the events from the body of a request: one CloudEvent or a batch. */

export const BATCH_MAX = 1000;

/** A parsed JSON body and the length of its text in bytes. */
export class Body {
  readonly value: unknown;
  readonly bytes: number;

  constructor(value: unknown, bytes: number) {
    this.value = value;
    this.bytes = bytes;
  }
}

/** @throws Fault BAD_JSON, BAD_BATCH, BAD_EVENT or TOO_LARGE, naming the field and the index in the batch. */
export function readSubmissions(request: FastifyRequest): {
  submissions: Submission[];
  isBatch: boolean;
  bytes: number;
} {
  const { value, bytes } = bodyOf(request);
  const isBatch = Array.isArray(value);
  const isBatchType = request.headers['content-type']?.includes('cloudevents-batch') === true;
  if (isBatchType && !isBatch)
    throw new Fault('BAD_BATCH', 'event: a batch must be an array of events', 'Send a JSON array: [ … ].');
  if (!isBatch) {
    if (bytes > INPUT_BYTES_MAX) throw tooLarge('the event');
    return { submissions: [submissionOf(value)], isBatch, bytes };
  }
  if (value.length > BATCH_MAX)
    throw new Fault('TOO_LARGE', `the batch has more than ${BATCH_MAX} events`, 'Split it into smaller batches.');
  if (bytes > INPUT_BYTES_MAX) value.forEach(requireSmall);
  return { submissions: readMembers(value), isBatch, bytes };
}

function bodyOf(request: FastifyRequest): Body {
  if (request.body instanceof Body) return request.body;
  throw new Fault('BAD_JSON', 'event: the body is empty', 'Send a CloudEvent as JSON.');
}

/** Validates every event, so that one reply lists all malformed events. */
function readMembers(values: readonly unknown[]): Submission[] {
  const errors: BadMember[] = [];
  const submissions = values.flatMap((value, index) => {
    try {
      return [submissionOf(value)];
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      errors.push({ index, id: idOf(value), code: error.code, message: error.message });
      return [];
    }
  });
  if (errors.length > 0) throw new BadBatch(errors, values.length);
  return submissions;
}

function requireSmall(value: unknown, index: number): void {
  if (Buffer.byteLength(JSON.stringify(value)) > INPUT_BYTES_MAX) throw tooLarge(`[${index}]`);
}

function tooLarge(what: string): Fault {
  return new Fault('TOO_LARGE', `${what} is larger than ${INPUT_BYTES_MAX} bytes`, 'Send a smaller event.');
}

function idOf(value: unknown): string | null {
  if (typeof value !== 'object' || value === null || !('id' in value)) return null;
  return typeof value.id === 'string' ? value.id.slice(0, 512) : null;
}
