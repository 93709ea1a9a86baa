import { z } from 'zod';
import { Fault, messageOf } from '../../events/fault.ts';
import { requireUtf8 } from '../../log/kept-bytes.ts';

/**
 * Maps the records of another system's topic to CloudEvents. A mapping is data: in its template `{"from": "/json/pointer"}` stands
 * for the value at this JSON pointer (RFC 6901) of the record. Without a template the record itself must be a CloudEvent of a
 * Landfall type.
 */

const Pointer = z.string().regex(/^(\/([^/~]|~[01])*)*$/, 'is not a JSON pointer');
const Template = z.json();

const Mapping = z.strictObject({
  topic: z.string().min(1).max(249),
  when: z
    .record(Pointer, z.union([z.string(), z.number(), z.boolean(), z.null()]))
    .default({})
    .describe('the values that a record must have, by JSON pointer; other records are skipped'),
  event: z.record(z.string(), Template).optional().describe('the CloudEvent, as a template'),
});
export type Mapping = z.infer<typeof Mapping>;
type Json = z.infer<typeof Template>;

/** @throws Fault BAD_MAPPING. */
export function parseMappings(text: string): Mapping[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw badMapping(messageOf(error), error);
  }
  const result = z.array(Mapping).min(1).safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw badMapping(`${issue?.path.map(String).join('.') ?? ''}: ${issue?.message ?? 'invalid'}`, result.error);
}

/**
 * Returns the event of a record by the first mapping that fits; null if none fits.
 * @throws Fault BAD_UTF8, BAD_JSON, UNMAPPED if the template names a value that the record lacks.
 */
export function mapped(mappings: readonly Mapping[], value: Buffer | null): unknown {
  const record = parseJson(value);
  for (const { when, event } of mappings) {
    const fits = Object.entries(when).every(([pointer, wanted]) => valueAt(record, pointer) === wanted);
    if (fits) return event === undefined ? record : fillTemplate(event, record);
  }
  return null;
}

function parseJson(value: Buffer | null): Json {
  if (value !== null) requireUtf8(value);
  try {
    return JSON.parse(value?.toString() ?? '') as Json;
  } catch (error) {
    throw new Fault('BAD_JSON', messageOf(error), 'Only JSON records can be mapped.', error);
  }
}

function fillTemplate(template: Json, record: Json): Json {
  if (Array.isArray(template)) return template.map((item) => fillTemplate(item, record));
  if (typeof template !== 'object' || template === null) return template;
  const { from, ...others } = template;
  if (typeof from === 'string' && Object.keys(others).length === 0) return requireValue(record, from);
  return Object.fromEntries(Object.entries(template).map(([name, item]) => [name, fillTemplate(item, record)]));
}

function requireValue(record: Json, pointer: string): Json {
  const found = valueAt(record, pointer);
  if (found !== undefined) return found;
  throw new Fault('UNMAPPED', `the record has no value at ${pointer}`, 'Correct the mapping or its `when`.');
}

function valueAt(value: Json | undefined, pointer: string): Json | undefined {
  const steps = pointer.split('/').slice(1);
  return steps.reduce<Json | undefined>((inner, step) => {
    const name = step.replaceAll('~1', '/').replaceAll('~0', '~');
    return typeof inner === 'object' && inner !== null && Object.hasOwn(inner, name)
      ? (inner as Record<string, Json>)[name]
      : undefined;
  }, value);
}

function badMapping(what: string, cause: unknown): Fault {
  return new Fault('BAD_MAPPING', `kafkaMappings: ${what}`, 'See the examples in docs/kafka.md.', cause);
}
