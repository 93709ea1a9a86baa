import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { newToken } from '../../service/access/credentials.ts';
import { commandLine } from '../support/command-line.ts';
import { ROOT, scratchFolder } from '../support/landfall.ts';
import { declared, event, returned, serve, type Served, started, VM, workOff } from './harness.ts';

/**
 * Sends valid and invalid requests generated from the OpenAPI description. No reply may be a 5xx, have an undeclared status or
 * reveal internals, and the body of a successful reply must match its schema.
 */

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 60);
const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
/** Internals that no reply may contain: stack traces, paths, table names, package names. */
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
  responses: Record<string, { content?: Record<string, { schema: Schema }> }>;
};
type Answer = { statusCode: number; payload: string; headers: Record<string, unknown> };

/** Generates values of a schema. A loose schema gets known values, because random values would never match existing data. */
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
      return fc.integer({
        min: Math.max(Math.ceil(schema.minimum ?? 0), -1e6),
        max: Math.min(schema.maximum ?? 1000, 1e6),
      });
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

/** Values that exist in the test ledger, so that requests get past the first check. */
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
    // No new work will appear during the test, so a long poll would only cost time.
    if (parameters.some(({ name }) => name === 'wait')) query.set('wait', '0');
    return { url: query.size === 0 ? url : `${url}?${query.toString()}`, payload };
  });
}

/** Returns the fault of a reply; null if the reply is correct. */
function complaintAbout(reply: Answer, url: string, { responses }: Operation): string | null {
  const { statusCode, payload } = reply;
  if (statusCode >= 500) return `status ${statusCode}: ${payload}`;
  if (statusCode !== 404 && !Object.hasOwn(responses, statusCode))
    return `undescribed status ${statusCode}: ${payload}`;
  if (statusCode < 400) return differenceFrom(responses[statusCode], reply);
  const { code, message, remedy } = JSON.parse(payload) as Record<string, unknown>;
  if (![code, message, remedy].every((part) => typeof part === 'string'))
    return `no code, message and remedy: ${payload}`;
  return INSIDE.test(payload.replaceAll(JSON.stringify(url), '')) ? `tells of the inside: ${payload}` : null;
}

const described = new WeakMap<object, z.ZodType>();

/** Checks that the body of a successful reply matches its schema, without other fields. */
function differenceFrom(
  response: Operation['responses'][string] | undefined,
  { payload, headers }: Answer,
): string | null {
  const isJson = String(headers['content-type']).includes('json');
  const schema = Object.values(response?.content ?? {})[0]?.schema;
  if (schema === undefined) return 'its body is not described';
  const parser = described.get(schema) ?? z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0]);
  described.set(schema, parser);
  const { error } = parser.safeParse(isJson ? JSON.parse(payload) : payload);
  return error === undefined ? null : `not as it is described: ${error.message} ${payload.slice(0, 2000)}`;
}

type How = { readonly headers?: Record<string, string>; readonly runs?: number; readonly large?: boolean };

/** Sends requests to every described operation and checks the replies. @returns the count of each status. */
async function askForAll(service: Served, { headers = {}, runs = RUNS, large = false }: How = {}) {
  const { paths } = service.app.swagger() as unknown as { paths: Record<string, Record<string, Operation>> };
  const statuses = new Map<number, number>();
  for (const [path, operations] of Object.entries(paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      if (large && operation.requestBody === undefined) continue;
      await fc.assert(
        fc.asyncProperty(requestOf(path, operation), async ({ url, payload }) => {
          const body = JSON.stringify(large ? enlarged(payload) : payload);
          const reply = await service.app.inject({
            method: method.toUpperCase() as 'GET',
            url,
            headers: {
              host: '127.0.0.1',
              ...headers,
              ...(body === undefined ? {} : { 'content-type': 'application/json' }),
            },
            ...(body === undefined ? {} : { payload: body }),
          });
          statuses.set(reply.statusCode, (statuses.get(reply.statusCode) ?? 0) + 1);
          const asked = `${method} ${url} ${body?.slice(0, 2000)}`;
          expect([asked, complaintAbout(reply, url, operation)]).toEqual([asked, null]);
        }),
        { numRuns: runs, seed: SEED },
      );
    }
  }
  return statuses;
}

/** Bodies over 1 MiB: a batch of repeated and new events, or a batch with too many events. */
function enlarged(payload: unknown): unknown {
  const filler = 'x'.repeat(400_000);
  const events = Array.from({ length: 3 }, () => ({ ...declared(), filler }));
  if (Array.isArray(payload)) return [...payload.slice(0, 3), ...events];
  if (typeof payload !== 'object' || payload === null) return events;
  return { ...payload, filler: [filler, filler, filler] };
}

/** Returns a ledger with data for every read, and a demo ledger. */
async function lived(flags: Parameters<typeof serve>[0] = {}, headers: Record<string, string> = {}): Promise<Served> {
  const folder = scratchFolder();
  const service = await serve({ requestsPerSecondMax: 1_000_000, logLevel: 'silent', ...flags }, folder);
  const story = [declared(), event('host.facts', { host: 'host-a', zone: 'z1' }), started('m-1'), returned('m-1')];
  expect((await service.post(story, headers)).status).toBe(202);
  await workOff(service, headers);
  await service.post(returned('m-99'), headers);
  const demo = join(folder, 'demo.db');
  expect(await commandLine(['ingest', join(ROOT, 'recordings/abort.ndjson'), '--db', demo])).toMatchObject({ code: 0 });
  await service.showDemo(demo);
  return service;
}

it(`answers every random request as described (SEED=${SEED})`, async () => {
  const service = await lived();
  const statuses = await askForAll(service);
  expect(statuses.get(200)).toBeGreaterThan(20);
  expect((await service.get('/readyz')).status).toBe(200);
});

it(`answers bodies over 1 MiB as described (SEED=${SEED})`, async () => {
  const service = await lived();
  const statuses = await askForAll(service, { large: true, runs: Math.ceil(RUNS / 3) });
  expect([...statuses.keys()]).toEqual(expect.arrayContaining([400, 413]));
  expect((await service.get('/readyz')).status).toBe(200);
});

// The last token has every role. The other tokens get 403 for the other routes.
it.each([
  ['read', 10],
  ['ingest', 10],
  ['agent:host-a', 10],
  ['operate', 10],
  ['read+ingest+agent:host-a+operate', 0],
])(`has a described answer for a token of %s (SEED=${SEED})`, async (role, refused) => {
  const [own, all] = [newToken('who', role), newToken('all', 'read+ingest+operate+agent:host-a,host-b')];
  const tokens = join(scratchFolder(), 'tokens');
  writeFileSync(tokens, `${own.line}\n${all.line}\n`);
  const bearer = ({ token }: { token: string }) => ({ authorization: `Bearer ${token}` });
  const service = await lived({ tokens }, bearer(all));
  const statuses = await askForAll(service, { headers: bearer(own), runs: Math.ceil(RUNS / 3) });
  expect(statuses.get(401)).toBeUndefined();
  expect(statuses.get(200)).toBeGreaterThan(10);
  expect(statuses.get(403) ?? 0).toBeGreaterThanOrEqual(refused);
  const nobody = await askForAll(service, { runs: 3 });
  // A client without a token gets only liveness and readiness.
  expect(nobody.get(200)).toBeLessThanOrEqual(6);
  expect([...nobody.keys()].filter((status) => ![200, 401, 404].includes(status))).toEqual([]);
});

it(`accepts or rejects random data of every event type (SEED=${SEED})`, async () => {
  const service = await serve({ requestsPerSecondMax: 1_000_000, logLevel: 'silent' });
  await service.post([declared(), started('m-1')]);
  const { inputSchemas } = await import('../../events/inputs.ts');
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
