import { z } from 'zod';
import { AttemptState } from '../../events/attempt.ts';
import { CloudEvent } from '../../events/cloud-event.ts';
import { Command, Listing, Question } from '../../events/commands.ts';
import { Configuration } from '../../events/configuration.ts';
import { Entry } from '../../events/entries.ts';
import { type InputType, inputSchemas, isVmInputType } from '../../events/inputs.ts';
import { VmId } from '../../events/vocabulary.ts';

/** Generates docs/schemas: the JSON Schemas (2020-12) of every input, output and stored record. Pure. */

/** The schemas that are not inputs, by file name. */
const shapes = {
  entry: Entry,
  question: Question,
  command: Command,
  listing: Listing,
  configuration: Configuration,
  'attempt-state': AttemptState,
};

/** Returns the schema of one input type as a CloudEvent: envelope, type, VM and data. */
export function cloudEventOf(type: InputType): z.ZodType {
  const { shape } = CloudEvent;
  return z.looseObject({
    specversion: shape.specversion,
    id: shape.id,
    source: shape.source,
    type: z.literal(type).describe('The type of the event.'),
    ...(isVmInputType(type) ? { subject: VmId.describe('The VM’s UUID.') } : {}),
    time: shape.time,
    datacontenttype: shape.datacontenttype,
    traceparent: shape.traceparent,
    data: inputSchemas[type].describe('The fields of the type.'),
  });
}

const schemaText = (title: string, schema: z.ZodType) => {
  const { $schema, ...rest } = z.toJSONSchema(schema, { io: 'input', target: 'draft-2020-12', reused: 'inline' });
  return `${JSON.stringify({ $schema, title, ...rest }, null, 2)}\n`;
};

/** Returns the text of each file in docs/schemas, by file name. */
export function schemaFiles(): Map<string, string> {
  const inputs = Object.keys(inputSchemas) as InputType[];
  return new Map([
    ...inputs.map((type) => [`${type}.json`, schemaText(type, cloudEventOf(type))] as const),
    ...Object.entries(shapes).map(([name, schema]) => [`${name}.json`, schemaText(name, schema)] as const),
  ]);
}
