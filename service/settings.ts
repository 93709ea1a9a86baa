import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { ConfigurationChange, ConfigurationFields } from '../events/configuration.ts';
import { Fault, messageOf } from '../events/fault.ts';

/**
 * The settings of the service in one schema. A setting comes from a flag, an environment variable (LANDFALL_ and the name in
 * capitals), a JSON file or its default, in this order. Settings used by decisions are written to the ledger at the start.
 */

const seconds = (min: number, max: number) => z.number().min(min).max(max).multipleOf(0.001);

const own = {
  db: z.string().min(1).default('.landfall/ledger.db').describe('the file of the ledger'),
  host: z.string().min(1).default('127.0.0.1').describe('the address to listen on'),
  port: z.number().int().min(0).max(65_535).default(7070).describe('the port to listen on; 0 means any free port'),
  tokens: z.string().min(1).optional().describe('the file of credentials, with lines of `landfall token`'),
  tlsCert: z.string().min(1).optional().describe('the file of the certificate chain, PEM'),
  tlsKey: z.string().min(1).optional().describe('the file of the key of tlsCert, PEM'),
  tlsClientCa: z.string().min(1).optional().describe('the file of the CA that signs client certificates, PEM'),
  recordings: z.boolean().default(true).describe('play the shipped recordings if the ledger is empty'),
  logLevel: z
    .enum(['fatal', 'error', 'warn', 'info', 'debug', 'silent'])
    .default('info')
    .describe('the level of the JSON log on stderr'),
  agentSilentSeconds: seconds(0.1, 86_400)
    .default(30)
    .describe('an agent without a request for work during this time is silent'),
  streamSeconds: seconds(1, 3600)
    .default(60)
    .describe('a stream of work ends after this time, and its client must authenticate again'),
  requestsPerSecondMax: z
    .number()
    .int()
    .min(1)
    .max(1_000_000)
    .default(2000)
    .describe('the limit of requests per second from one address'),
  workRequestsMax: z
    .number()
    .int()
    .min(1)
    .max(1_000_000)
    .default(2000)
    .describe('the limit of open requests for work of all agents; an agent has one'),
  kafkaBrokers: z
    .array(z.string().regex(/^\S+:\d{1,5}$/, 'is not host:port'))
    .min(1)
    .optional()
    .describe(
      'host:port of some brokers: stores the ledger in a topic, and `db` only names the folder of the replicas',
    ),
  kafkaPrefix: z
    .string()
    .regex(/^[a-zA-Z0-9._-]{1,100}$/, 'may have letters, digits, dots, dashes and underscores')
    .default('landfall')
    .describe('the prefix of the names of topics, groups and transactions'),
  kafkaInstance: z
    .string()
    .regex(/^[a-zA-Z0-9._-]{1,100}$/, 'may have letters, digits, dots, dashes and underscores')
    .optional()
    .describe('the name of this instance, which must stay the same after a restart; default: the host name'),
  kafkaTls: z.boolean().default(false).describe('connect to the brokers with TLS'),
  kafkaCa: z.string().min(1).optional().describe('the file of the CA that signs the brokers’ certificates, PEM'),
  kafkaCert: z.string().min(1).optional().describe('the file of the client certificate for the brokers, PEM'),
  kafkaKey: z.string().min(1).optional().describe('the file of the key of kafkaCert, PEM'),
  kafkaSasl: z
    .enum(['plain', 'scram-sha-256', 'scram-sha-512'])
    .optional()
    .describe('the SASL mechanism for the brokers'),
  kafkaUsername: z.string().min(1).optional().describe('the SASL user name'),
  kafkaPassword: z.string().min(1).optional().describe('the SASL password; kafkaPasswordFile is safer'),
  kafkaPasswordFile: z.string().min(1).optional().describe('a file that contains only the SASL password'),
  kafkaSessionSeconds: seconds(6, 300)
    .default(10)
    .describe('an instance without a heartbeat during this time loses its partitions to other instances'),
  kafkaMappings: z
    .string()
    .min(1)
    .optional()
    .describe('a JSON file that maps topics of other systems to inputs, see docs/kafka.md'),
  shutdownSeconds: seconds(0.1, 3600).default(10).describe('the longest time for open requests to end at a stop'),
};

export const Settings = z.strictObject({ ...own, ...ConfigurationFields.partial().shape });
export type Settings = z.infer<typeof Settings>;
type SettingName = keyof Settings;

const settingNames = Object.keys(Settings.shape) as SettingName[];

type Text = string | boolean | number;
type Given = { readonly name: string; readonly value: unknown; readonly source: string };
export type Sources = {
  readonly flags: Readonly<Record<string, Text | undefined>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly file?: string | undefined;
};

/** Returns the environment variable of a setting. */
export function variableOf(name: string): string {
  return `LANDFALL_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

/** @throws Fault BAD_SETTING naming source and setting. */
export function readSettings({ flags, env, file }: Sources): Settings {
  const given = new Map<string, Given>();
  const all = [...(file === undefined ? [] : fromFile(file)), ...fromEnvironment(env), ...fromFlags(flags)];
  for (const each of all) given.set(each.name, each);
  const values = Object.fromEntries([...given.values()].map(({ name, value }) => [name, value]));
  const result = Settings.safeParse(values);
  if (!result.success) throw badSetting(result.error, given, file);
  requireTogether(result.data);
  return result.data;
}

/** Returns the settings that decisions use. */
export function decisionsIn(settings: Settings): ConfigurationChange {
  const names = new Set(Object.keys(ConfigurationFields.shape));
  return ConfigurationChange.parse(
    Object.fromEntries(Object.entries(settings).filter(([name, value]) => names.has(name) && value !== undefined)),
  );
}

function fromFile(file: string): Given[] {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new Fault(
      'BAD_SETTING',
      `${file}: ${messageOf(error)}`,
      'Give a file with a JSON object of settings.',
      error,
    );
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Fault('BAD_SETTING', `${file}: is not a JSON object`, `The settings are: ${settingNames.join(', ')}.`);
  }
  return Object.entries(value).map(([name, each]) => ({ name, value: each, source: file }));
}

function fromEnvironment(env: Sources['env']): Given[] {
  return settingNames.flatMap((name) => {
    const text = env[variableOf(name)];
    return text === undefined || text === ''
      ? []
      : [{ name, value: typed(name, text), source: `environment ${variableOf(name)}` }];
  });
}

function fromFlags(flags: Sources['flags']): Given[] {
  return Object.entries(flags).flatMap(([name, value]) => {
    const flag = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    return value === undefined
      ? []
      : [{ name, value: typeof value === 'string' ? typed(name, value) : value, source: flag }];
  });
}

/** Converts the text of a flag or variable to the type of its setting. The schema refuses text that cannot be converted. */
function typed(name: string, text: string): unknown {
  const schema = Object.hasOwn(Settings.shape, name) ? Settings.shape[name as SettingName] : undefined;
  const type = schema === undefined ? 'string' : z.toJSONSchema(schema, { io: 'input' }).type;
  switch (type) {
    case 'number':
    case 'integer':
      return text.trim() === '' || Number.isNaN(Number(text)) ? text : Number(text);
    case 'boolean':
      return text === 'true' ? true : text === 'false' ? false : text;
    case 'array':
      return text === '' ? [] : text.split(',').map((part) => part.trim());
    default:
      return text;
  }
}

function badSetting(error: z.ZodError, given: ReadonlyMap<string, Given>, file: string | undefined): Fault {
  const issue = error.issues[0];
  const unknown = issue?.code === 'unrecognized_keys' ? issue.keys[0] : undefined;
  const name = unknown ?? String(issue?.path[0] ?? '');
  const source = given.get(name)?.source ?? file ?? 'settings';
  const what = unknown === undefined ? (issue?.message ?? 'invalid') : 'no such setting';
  return new Fault(
    'BAD_SETTING',
    `${source}: ${name}: ${what}`,
    `The settings are: ${settingNames.join(', ')}.`,
    error,
  );
}

function requireTogether(settings: Settings): void {
  requireTls(settings);
  requireSasl(settings);
}

function requireSasl(settings: Settings): void {
  const { kafkaSasl, kafkaUsername, kafkaPassword, kafkaPasswordFile, kafkaCert, kafkaKey } = settings;
  const { kafkaBrokers, kafkaMappings } = settings;
  const passwords = [kafkaPassword, kafkaPasswordFile].filter((given) => given !== undefined).length;
  if (passwords > 1) {
    throw new Fault('BAD_SETTING', 'kafkaPassword and kafkaPasswordFile exclude each other', 'Give one of them.');
  }
  const isWhole = kafkaUsername !== undefined && passwords === 1;
  if (kafkaSasl === undefined ? kafkaUsername !== undefined || passwords > 0 : !isWhole) {
    const remedy = 'Give all three, or none.';
    throw new Fault('BAD_SETTING', 'kafkaSasl, kafkaUsername and a password belong together', remedy);
  }
  if ((kafkaCert === undefined) !== (kafkaKey === undefined)) {
    throw new Fault('BAD_SETTING', 'kafkaCert and kafkaKey belong together', 'Give both, or neither.');
  }
  if (kafkaMappings !== undefined && kafkaBrokers === undefined) {
    throw new Fault('BAD_SETTING', 'kafkaMappings needs kafkaBrokers', 'Give both.');
  }
}

function requireTls({ tlsCert, tlsKey, tlsClientCa }: Settings): void {
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    throw new Fault('BAD_SETTING', 'tlsCert and tlsKey belong together', 'Give both, or neither.');
  }
  if (tlsClientCa !== undefined && tlsCert === undefined) {
    throw new Fault('BAD_SETTING', 'tlsClientCa needs tlsCert and tlsKey', 'Give all three.');
  }
}
