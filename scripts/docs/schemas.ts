import { z } from 'zod';
import { AttemptState } from '../../events/attempt.ts';
import { CloudEvent } from '../../events/cloud-event.ts';
import { Command, Listing, Question } from '../../events/commands.ts';
import { Configuration } from '../../events/configuration.ts';
import { Entry } from '../../events/entries.ts';
import { type InputType, inputSchemas, isVmInputType } from '../../events/inputs.ts';
import { VmId } from '../../events/vocabulary.ts';

/** docs/schemas: JSON Schema (2020-12) of all that enters Landfall, leaves it, or is kept. Pure. */

/** What is not an input, by the name of its file. */
const shapes = {
  entry: Entry,
  question: Question,
  command: Command,
  listing: Listing,
  configuration: Configuration,
  'attempt-state': AttemptState,
};

/** One type of input as it is sent: the envelope, its type, the VM it is about, and its data. */
function cloudEventOf(type: InputType): z.ZodType {
  const { shape } = CloudEvent;
  return z.looseObject({
    specversion: shape.specversion,
    id: shape.id,
    source: shape.source,
    type: z.literal(type),
    ...(isVmInputType(type) ? { subject: VmId.describe('The VM’s UUID.') } : {}),
    time: shape.time,
    datacontenttype: shape.datacontenttype,
    traceparent: shape.traceparent,
    data: inputSchemas[type],
  });
}

const schemaText = (title: string, schema: z.ZodType) => {
  const { $schema, ...rest } = z.toJSONSchema(schema, { io: 'input', target: 'draft-2020-12', reused: 'inline' });
  return `${JSON.stringify({ $schema, title, ...rest }, null, 2)}\n`;
};

/** Each file of docs/schemas and its text. */
export function schemaFiles(): Map<string, string> {
  const inputs = Object.keys(inputSchemas) as InputType[];
  return new Map([
    ...inputs.map((type) => [`${type}.json`, schemaText(type, cloudEventOf(type))] as const),
    ...Object.entries(shapes).map(([name, schema]) => [`${name}.json`, schemaText(name, schema)] as const),
  ]);
}
