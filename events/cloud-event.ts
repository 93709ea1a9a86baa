import { z } from 'zod';
import { Fault } from './fault.ts';
import { type Input, inputSchemas, isInputType, isVmInputType, type SiteInput, type VmInput } from './inputs.ts';
import { requireShallow } from './nesting.ts';
import { upcast } from './upcast.ts';
import { VmId } from './vocabulary.ts';

/** Digests are taken of UTF-8, where two texts with different lone surrogates are the same. */
const isWellFormed = (text: string) => text.isWellFormed();
const NOT_WELL_FORMED = 'is no well-formed Unicode';
/** The two make up one key with a control character between them. */
const PLAIN = /^\P{Cc}*$/u;
const CONTROLS = 'has a control character';

/**
 * The envelope: CloudEvents 1.0 in JSON (github.com/cloudevents/spec, v1.0.2). `source` + `id` name the event once and for
 * all; unknown extension attributes are allowed and ignored.
 */
export const CloudEvent = z.looseObject({
  specversion: z.literal('1.0'),
  id: z.string().min(1).max(512).regex(PLAIN, CONTROLS).refine(isWellFormed, NOT_WELL_FORMED),
  source: z.string().min(1).max(1024).regex(PLAIN, CONTROLS).refine(isWellFormed, NOT_WELL_FORMED),
  type: z.string().min(1).max(255),
  subject: z.string().max(255).optional(),
  /** When it happened, by its producer's clock: testimony for people, never compared. */
  time: z.iso.datetime({ offset: true }).optional(),
  datacontenttype: z.literal('application/json').optional(),
  /** W3C trace context. */
  traceparent: z.string().max(255).optional(),
  data: z.unknown(),
});
export type CloudEvent = z.infer<typeof CloudEvent>;

/** The largest input that is taken, in bytes of its JSON. */
export const INPUT_BYTES_MAX = 1_048_576;

/**
 * Turns a parsed CloudEvent into a trusted input.
 * @param hash SHA-256 in hex of a text; handed in, so that this module does no I/O and names no runtime.
 * @throws Fault BAD_EVENT (the field is named), BAD_JSON where it nests too deep, UNKNOWN_TYPE, BAD_SUBJECT.
 */
export function toInput(value: unknown, hash: (text: string) => string): Input {
  requireShallow(value);
  const event = parse(CloudEvent, value, '');
  const current = upcast(event.type, event.data);
  if (!isInputType(current.type)) {
    throw new Fault(
      'UNKNOWN_TYPE',
      `type: ${JSON.stringify(event.type)} is not a type of input`,
      'docs/schemas lists the types of input; a newer producer needs a newer Landfall.',
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
    // The pair of type and data was just parsed by that type's own schema.
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

/** The event that an input was; what it left out stands there with its default. */
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

/** Parses with a schema; a failure names the first bad field. */
export function parse<S extends z.ZodType>(schema: S, value: unknown, prefix: string): z.infer<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const path = issue === undefined ? '' : issue.path.map(String).join('.');
  const field = path === '' ? prefix.replace(/\.$/, '') || 'event' : `${prefix}${path}`;
  throw new Fault(
    'BAD_EVENT',
    `${field}: ${issue === undefined ? 'invalid' : words(issue)}`,
    'docs/inputs.md has an example of every type of input, docs/schemas its JSON Schema.',
    result.error,
  );
}

/** zod's words without their preamble; what is not there is called missing. */
function words({ message }: z.core.$ZodIssue): string {
  const text = message.replace(/^Invalid input: /, '');
  return text.endsWith(', received undefined') ? `missing, ${text.replace(', received undefined', '')}` : text;
}

/** JSON with sorted keys: the same content gives the same text, whatever order a producer wrote it in. */
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
