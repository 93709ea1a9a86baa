import { z } from 'zod';
import { Fault } from './fault.ts';
import { type Input, inputSchemas, isInputType, isVmInputType, type SiteInput, type VmInput } from './inputs.ts';
import { requireShallow } from './nesting.ts';
import { upcast } from './upcast.ts';
import { VmId } from './vocabulary.ts';

/**
 * Rejects lone surrogates: UTF-8 encodes all of them as the same replacement character, so different texts would have
 * equal digests.
 */
const isWellFormed = (text: string) => text.isWellFormed();
const NOT_WELL_FORMED = 'must be well-formed Unicode';
/** `source` and `id` are joined by a control character to form one key, so neither may contain one. */
const PLAIN = /^\P{Cc}*$/u;
const CONTROLS = 'must not contain a control character';

/**
 * The envelope: CloudEvents 1.0 in JSON (github.com/cloudevents/spec, v1.0.2). `source` and `id` together identify an event.
 * Extension attributes are accepted and ignored.
 */
export const CloudEvent = z.looseObject({
  specversion: z.literal('1.0').describe('The version of CloudEvents.'),
  id: z
    .string()
    .min(1)
    .max(512)
    .regex(PLAIN, CONTROLS)
    .refine(isWellFormed, NOT_WELL_FORMED)
    .describe('The id of the event. `source` and `id` together identify it; a redelivery repeats both.'),
  source: z
    .string()
    .min(1)
    .max(1024)
    .regex(PLAIN, CONTROLS)
    .refine(isWellFormed, NOT_WELL_FORMED)
    .describe('The name of the producer.'),
  type: z.string().min(1).max(255).describe('The type of the event.'),
  subject: z.string().max(255).optional().describe('The UUID of the VM; absent for events about the site.'),
  time: z.iso
    .datetime({ offset: true })
    .optional()
    .describe('The time of the event on the clock of its producer; shown to people, never compared with other times.'),
  datacontenttype: z.literal('application/json').optional().describe('The media type of `data`.'),
  traceparent: z.string().max(255).optional().describe('The W3C trace context.'),
  data: z.unknown().describe('The fields of the type.'),
});
export type CloudEvent = z.infer<typeof CloudEvent>;

/** The largest accepted input, in bytes of its JSON. */
export const INPUT_BYTES_MAX = 1_048_576;

/**
 * Validates a parsed CloudEvent and returns it as an input.
 * @param hash returns the SHA-256 of a text in hex. The caller passes it in, because this module must not depend on a runtime.
 * @throws Fault BAD_EVENT naming the field, BAD_JSON if a value nests too deep, UNKNOWN_TYPE, BAD_SUBJECT.
 */
export function toInput(value: unknown, hash: (text: string) => string): Input {
  requireShallow(value);
  const event = parse(CloudEvent, value, '');
  const current = upcast(event.type, event.data);
  if (!isInputType(current.type)) {
    throw new Fault(
      'UNKNOWN_TYPE',
      `type: ${JSON.stringify(event.type)} is not a type of input`,
      'Use a type listed in docs/schemas, or upgrade Landfall if the producer is newer.',
    );
  }
  const data = parse(inputSchemas[current.type], current.data, 'data.');
  const base = {
    source: event.source,
    id: event.id,
    time: event.time,
    trace: event.traceparent,
    type: current.type,
    data,
  };
  if (!isVmInputType(current.type)) {
    const digest = hash(canonical([event.type, '', event.data]));
    // The schema of this type has just validated the data, so type and data belong together.
    return { ...base, vm: null, digest } as SiteInput;
  }
  const vm = VmId.safeParse(event.subject);
  if (!vm.success) {
    throw new Fault(
      'BAD_SUBJECT',
      `subject: must be the VM's UUID, is ${JSON.stringify(event.subject ?? null)}`,
      'Name the VM by its UUID.',
    );
  }
  const digest = hash(canonical([event.type, vm.data, event.data]));
  return { ...base, vm: vm.data, digest } as VmInput;
}

/** Returns the CloudEvent of an input. Optional fields that the producer omitted have their defaults. */
export function toEvent({ id, source, type, vm, time, trace, data }: Fields): CloudEvent {
  return {
    specversion: '1.0',
    id,
    source,
    type,
    ...(vm === null ? {} : { subject: vm }),
    ...(time === undefined ? {} : { time }),
    ...(trace === undefined ? {} : { traceparent: trace }),
    data,
  };
}

type Fields = Pick<Input, 'id' | 'source' | 'vm' | 'time' | 'trace'> & { type: string; data?: unknown };

/**
 * Validates a value.
 * @param prefix is put before the name of the field in the error.
 * @throws Fault BAD_EVENT naming the first bad field.
 */
export function parse<S extends z.ZodType>(schema: S, value: unknown, prefix: string): z.infer<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const path = issue === undefined ? '' : issue.path.map(String).join('.');
  const field = path === '' ? prefix.replace(/\.$/, '') || 'event' : `${prefix}${path}`;
  throw new Fault(
    'BAD_EVENT',
    `${field}: ${issue === undefined ? 'invalid' : words(issue, value)}`,
    'Compare the event with the example in docs/inputs.md and the JSON Schema in docs/schemas.',
    result.error,
  );
}

/**
 * Returns the validation message of zod without its standard beginning. An absent field is reported as missing, and an
 * unknown value is reported together with the allowed values.
 */
function words(issue: z.core.$ZodIssue, value: unknown): string {
  const text = issue.message.replace(/^Invalid (input|option): /, '');
  const given = valueAt(value, issue.path);
  if (issue.code === 'invalid_value') {
    const allowed = issue.values.map(String).join(', ');
    return given === undefined ? `missing; use one of: ${allowed}` : `is ${shown(given)}; use one of: ${allowed}`;
  }
  return text.endsWith(', received undefined') ? `missing, ${text.replace(', received undefined', '')}` : text;
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (at, key) => (typeof at === 'object' && at !== null ? (at as Record<PropertyKey, unknown>)[key] : undefined),
    value,
  );
}

const SHOWN_MAX = 80;

/** A scalar in JSON, cut to a length that fits a message; the kind of any other value. */
function shown(value: unknown): string {
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'an object';
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX).toWellFormed()}…` : text;
}

/** JSON with sorted keys, so that the order of keys in the producer's JSON does not change the digest. */
export function canonical(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  const members = value as Readonly<Record<string, unknown>>;
  let text = '';
  for (const key of Object.keys(members).sort()) {
    if (members[key] !== undefined)
      text += `${text === '' ? '' : ','}${JSON.stringify(key)}:${canonical(members[key])}`;
  }
  return `{${text}}`;
}
