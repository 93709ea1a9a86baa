import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { wallTime } from '../../engine/time.ts';
import type { SqliteLedger } from '../../log/sqlite/ledger.ts';
import { loggerFor, type Running, startService } from '../../service/serve.ts';
import { readSettings } from '../../service/settings.ts';
import { cloudEvent } from '../support/builders.ts';
import { scratchFolder } from '../support/landfall.ts';

/** Starts a real service in this process on a free port, with a client. */

type Reply = { status: number; headers: Headers; body: Json };
/** Parsed JSON, typed for tests. */
export type Json = { readonly [key: string]: Json } & {
  readonly items: readonly Json[];
  readonly errors: readonly Json[];
  readonly kind: string;
  readonly next: string;
  readonly length: number;
};

export type Served = Running & {
  readonly folder: string;
  readonly logged: string[];
  get(path: string, headers?: Record<string, string>): Promise<Reply>;
  send(method: string, path: string, body: unknown, headers?: Record<string, string>): Promise<Reply>;
  post(events: unknown, headers?: Record<string, string>): Promise<Reply>;
};

type Flags = Record<string, string | boolean | number | undefined>;

export async function serve(flags: Flags = {}, folder = scratchFolder(), time = wallTime): Promise<Served> {
  const logged: string[] = [];
  const settings = readSettings({ flags: { db: join(folder, 'ledger.db'), port: 0, ...flags }, env: {} });
  const logger = loggerFor({ logLevel: 'debug' }, { write: (line: string) => void logged.push(line) });
  const running = await startService(settings, { logger, time });
  let stopped: Promise<void> | null = null;
  const stop = () => (stopped ??= running.stop());
  onTestFinished(stop);
  return { ...running, stop, folder, logged, ...client(() => running.url) };
}

export function client(url: () => string): Pick<Served, 'get' | 'send' | 'post'> {
  const ask = async (path: string, init: RequestInit): Promise<Reply> => {
    const response = await fetch(`${url()}${path}`, init);
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.includes('json') === true;
    return {
      status: response.status,
      headers: response.headers,
      body: (isJson ? JSON.parse(text) : text) as unknown as Json,
    };
  };
  const send = (method: string, path: string, body: unknown, headers: Record<string, string> = {}) =>
    ask(path, { method, headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) });
  return {
    get: (path, headers = {}) => ask(path, { headers }),
    send,
    post: (events, headers) => send('POST', '/v1/events', events, headers),
  };
}

/** Returns the embedded ledger of a service. */
export function ledgerOf({ engine }: Pick<Served, 'engine'>): SqliteLedger {
  const [part] = engine.parts;
  if (part === undefined) throw new Error('the service has no ledger');
  return part.ledger;
}

export { declared, returned, started, VM } from '../support/builders.ts';

/** Returns a CloudEvent with a unique id. Events of a host name a VM only if `more` does. */
export function event(type: string, data: unknown, more: Record<string, unknown> = {}): Record<string, unknown> {
  return { ...cloudEvent(type, data, type.startsWith('host.') ? { subject: null } : {}), ...more };
}

type Question = { question: string; vm: string; host: string };

/** Returns the answer of a host when the guest stayed on the source. */
export function answerStayed({ question, vm, host }: Question, id: string = randomUUID()): Record<string, unknown> {
  const domain = host === 'host-a' ? { name: 'web', state: 'running', reason: 'booted', job: 'none' } : null;
  return event('host.answered', { question, host, ok: true, domain }, { subject: vm, id });
}

/** Answers all questions and acknowledges all commands until no work is left. Returns the number of items. */
export async function workOff(
  { get, post }: Pick<Served, 'get' | 'post'>,
  headers?: Record<string, string>,
): Promise<number> {
  let done = 0;
  for (let idle = 0; idle < 3; ) {
    const replies = await Promise.all(
      ['/v1/hosts/host-a/work', '/v1/hosts/host-b/work', '/v1/orchestrator/work'].map((path) =>
        get(`${path}?wait=0`, headers),
      ),
    );
    const items = replies.flatMap(({ body }) => body.items ?? []);
    idle = items.length === 0 ? idle + 1 : 0;
    for (const item of items) {
      await post(
        item.kind === 'question' ? answerStayed(item['question'] as unknown as Question) : acknowledged(item),
        headers,
      );
      done += 1;
    }
  }
  return done;
}

function acknowledged(item: Json): Record<string, unknown> {
  const command = item['command'];
  return event('command.acknowledged', { command: command?.['command'], ok: true }, { subject: command?.['vm'] });
}

/** Returns a reply or a field of a reply as text. */
export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
