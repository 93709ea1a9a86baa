import fc from 'fast-check';
import { expect, it } from 'vitest';
import { declared, event, serve, started, VM } from './harness.ts';

/** Requests made from the OpenAPI description, valid and not: no reply is a 5xx, undeclared, or tells of the inside. */

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 60);
const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
/** What must not leave: stacks, paths, tables, packages. */
const INSIDE = /node_modules|\.ts:\d|\n\s+at |\/work\/|\/tmp\/|SQLITE|dead_letters|ZodError|FST_ERR/;

type Schema = {
  type?: string | string[];
  enum?: unknown[];
  const?: unknown;
  anyOf?: Schema[];
  oneOf?: Schema[];
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
};
type Parameter = { name: string; in: string; schema: Schema; required?: boolean };
type Operation = {
  parameters?: Parameter[];
  requestBody?: { content: Record<string, { schema: Schema }> };
  responses: Record<string, unknown>;
};

/** Values that a schema allows; where it says too little to be met by chance, something like it. */
function valid(schema: Schema): fc.Arbitrary<unknown> {
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices !== undefined) return fc.oneof(...choices.map(valid));
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  switch (type) {
    case 'string':
      return fc.oneof(
        known,
        fc.string({ minLength: schema.minLength ?? 0, maxLength: Math.min(schema.maxLength ?? 20, 30) }),
      );
    case 'integer':
    case 'number':
      return fc.integer({ min: Math.max(schema.minimum ?? 0, -1e6), max: Math.min(schema.maximum ?? 1000, 1e6) });
    case 'boolean':
      return fc.boolean();
    case 'null':
      return fc.constant(null);
    case 'array':
      return fc.array(valid(schema.items ?? {}), { maxLength: 3 });
    case 'object':
      return fc.record(
        Object.fromEntries(Object.entries(schema.properties ?? {}).map(([name, member]) => [name, valid(member)])),
        { requiredKeys: schema.required ?? [] },
      );
    default:
      return fc.jsonValue();
  }
}

/** Words that lead further in than chance would. */
const known = fc.constantFrom(
  VM,
  'm-1',
  'm-1/q1',
  'host-a',
  'host-b',
  '0:1',
  'landfall.vm.declared.v1',
  '2026-11-23T02:14:00Z',
  '1e999',
);
const odd = fc.oneof(
  fc.jsonValue(),
  fc.constantFrom(
    '',
    '\u0000',
    '../../etc/passwd',
    '%',
    "' OR 1=1 --",
    -1,
    1e308,
    '9'.repeat(400),
    'é'.repeat(300),
    {},
    [],
    null,
  ),
  fc.string({ unit: 'binary', maxLength: 40 }),
);
const mostly = (schema: Schema) => fc.oneof({ weight: 3, arbitrary: valid(schema) }, { weight: 1, arbitrary: odd });

const textOf = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value));

function requestOf(path: string, { parameters = [], requestBody }: Operation) {
  const given = fc.tuple(
    ...parameters.map(({ schema, required }) =>
      required === true ? mostly(schema) : fc.option(mostly(schema), { nil: undefined }),
    ),
  );
  const body =
    requestBody === undefined ? fc.constant(undefined) : mostly(Object.values(requestBody.content)[0]?.schema ?? {});
  return fc.tuple(given, body).map(([values, payload]) => {
    let url = path;
    const query = new URLSearchParams();
    parameters.forEach(({ name, in: place }, index) => {
      const value = values[index];
      if (value === undefined) return;
      if (place === 'path') url = url.replace(`{${name}}`, encodeURIComponent(textOf(value).toWellFormed()));
      else if (place === 'query') query.set(name, textOf(value));
    });
    // Nothing more will be asked of anybody: waiting for it would only take time.
    if (parameters.some(({ name }) => name === 'wait')) query.set('wait', '0');
    return { url: query.size === 0 ? url : `${url}?${query.toString()}`, payload };
  });
}

/** What is wrong with a reply; null: nothing. */
function complaintAbout(
  reply: { statusCode: number; payload: string },
  url: string,
  { responses }: Operation,
): string | null {
  const { statusCode, payload } = reply;
  if (statusCode >= 500) return `status ${statusCode}: ${payload}`;
  if (statusCode !== 404 && !Object.hasOwn(responses, statusCode))
    return `undescribed status ${statusCode}: ${payload}`;
  if (statusCode < 400) return null;
  const { code, message, remedy } = JSON.parse(payload) as Record<string, unknown>;
  if (![code, message, remedy].every((part) => typeof part === 'string'))
    return `no code, message and remedy: ${payload}`;
  return INSIDE.test(payload.replaceAll(JSON.stringify(url), '')) ? `tells of the inside: ${payload}` : null;
}

it(`has a described answer to whatever comes (SEED=${SEED})`, { timeout: 120_000 }, async () => {
  const service = await serve({ requestsPerSecondMax: 1_000_000, logLevel: 'silent' });
  await service.post([declared(), started('m-1')]);
  const { paths } = service.app.swagger() as unknown as { paths: Record<string, Record<string, Operation>> };
  for (const [path, operations] of Object.entries(paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      await fc.assert(
        fc.asyncProperty(requestOf(path, operation), async ({ url, payload }) => {
          const reply = await service.app.inject({
            method: method.toUpperCase() as 'GET',
            url,
            headers: { host: '127.0.0.1', ...(payload === undefined ? {} : { 'content-type': 'application/json' }) },
            ...(payload === undefined ? {} : { payload: JSON.stringify(payload) }),
          });
          const asked = `${method} ${url} ${JSON.stringify(payload)}`;
          expect([asked, complaintAbout(reply, url, operation)]).toEqual([asked, null]);
        }),
        { numRuns: RUNS, seed: SEED },
      );
    }
  }
  expect((await service.get('/readyz')).status).toBe(200);
});

it(`takes or refuses any data of every type of event (SEED=${SEED})`, { timeout: 120_000 }, async () => {
  const service = await serve({ requestsPerSecondMax: 1_000_000, logLevel: 'silent' });
  await service.post([declared(), started('m-1')]);
  const { inputSchemas } = await import('../../events/inputs.ts');
  const { z } = await import('zod');
  for (const [type, schema] of Object.entries(inputSchemas)) {
    const data = valid(z.toJSONSchema(schema, { io: 'input' }) as Schema);
    await fc.assert(
      fc.asyncProperty(data, async (value) => {
        const sent = { ...event('vm.declared', value), type, subject: VM };
        const reply = await service.app.inject({
          method: 'POST',
          url: '/v1/events',
          headers: { host: '127.0.0.1' },
          payload: sent,
        });
        expect([202, 400, 409, 422], `${JSON.stringify(sent)}: ${reply.payload}`).toContain(reply.statusCode);
      }),
      { numRuns: RUNS, seed: SEED },
    );
  }
  expect((await service.get('/readyz')).status).toBe(200);
});
