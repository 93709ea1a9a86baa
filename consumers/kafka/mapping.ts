import { z } from 'zod';
import { Fault, messageOf } from '../../events/fault.ts';

/**
 * Turns the records of somebody else's topic into CloudEvents that are inputs here. A mapping is data: a template in which
 * `{"from": "/json/pointer"}` stands for what is there in the record (RFC 6901). Without a template the records are CloudEvents
 * of ours already.
 */

const Pointer = z.string().regex(/^(\/([^/~]|~[01])*)*$/, 'is no JSON pointer');
const Template = z.json();

const Mapping = z.strictObject({
  topic: z.string().min(1).max(249),
  when: z
    .record(Pointer, z.union([z.string(), z.number(), z.boolean(), z.null()]))
    .default({})
    .describe('what must stand in the record, by JSON pointer; others are passed over'),
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
 * The event that a record stands for by the first mapping that fits; null: none does.
 * @throws Fault BAD_JSON, UNMAPPED where the template names what the record has not.
 */
export function mapped(mappings: readonly Mapping[], value: Buffer | null): unknown {
  const record = jsonOf(value);
  for (const { when, event } of mappings) {
    const fits = Object.entries(when).every(([pointer, wanted]) => at(record, pointer) === wanted);
    if (fits) return event === undefined ? record : filled(event, record);
  }
  return null;
}

function jsonOf(value: Buffer | null): Json {
  try {
    return JSON.parse(value?.toString() ?? '') as Json;
  } catch (error) {
    throw new Fault('BAD_JSON', messageOf(error), 'Only records of JSON can be mapped.', error);
  }
}

function filled(template: Json, record: Json): Json {
  if (Array.isArray(template)) return template.map((item) => filled(item, record));
  if (typeof template !== 'object' || template === null) return template;
  const { from, ...others } = template;
  if (typeof from === 'string' && Object.keys(others).length === 0) return existing(record, from);
  return Object.fromEntries(Object.entries(template).map(([name, item]) => [name, filled(item, record)]));
}

function existing(record: Json, pointer: string): Json {
  const found = at(record, pointer);
  if (found !== undefined) return found;
  throw new Fault('UNMAPPED', `the record has nothing at ${pointer}`, 'Mend the mapping, or its `when`.');
}

function at(value: Json | undefined, pointer: string): Json | undefined {
  const steps = pointer.split('/').slice(1);
  return steps.reduce<Json | undefined>((inner, step) => {
    const name = step.replaceAll('~1', '/').replaceAll('~0', '~');
    return typeof inner === 'object' && inner !== null && Object.hasOwn(inner, name)
      ? (inner as Record<string, Json>)[name]
      : undefined;
  }, value);
}

function badMapping(what: string, cause: unknown): Fault {
  return new Fault('BAD_MAPPING', `kafkaMappings: ${what}`, 'docs/kafka.md has examples.', cause);
}
