import type { Configuration } from '../events/configuration.ts';
import type { Entry, Timers } from '../events/entries.ts';
import type { AttemptState } from '../events/attempt.ts';
import { Fault, messageOf } from '../events/fault.ts';
import type { StoredEntry } from '../log/port.ts';
import type { MigrationView } from '../projections/attempts.ts';
import type { DeadLetter } from '../projections/site.ts';
import type { TimelineItem } from '../projections/timeline.ts';
import type { VmStatus } from '../projections/vms.ts';

/**
 * HTTP client of a running service. Its lists have the same item types as the local queries, so commands print both in
 * the same way. The token comes from LANDFALL_TOKEN, because a flag would be visible in `ps`.
 */

const PAGE = '1000';
/** The limit for one response, in milliseconds. */
const TIMEOUT_MS = 30_000;

type Query = Record<string, string | number | undefined>;
type Problem = { code: string; message: string; remedy: string };
type Page<T> = { items: T[]; next: string | null };
type RemoteEntry = { position: string; previous: string; hash: string; entry: Entry };
/** The outcome of one event. */
type EventOutcome = { duplicate: boolean; pending?: string; refusal: Problem | null };
type ExplainedPage = Omit<Explained, 'entries'> & Page<RemoteEntry>;
export type Explained = { state: AttemptState; timers: Timers; entries: StoredEntry[]; name: string | null };

/** The settings after a change, and the open attempts that keep earlier ones. */
type ChangedConfiguration = Configuration & { attemptsWithEarlierSettings?: string[] };

export class Remote {
  readonly #base: URL;
  readonly #token: string | undefined;

  constructor(server: string, env: Readonly<Record<string, string | undefined>>) {
    this.#base = baseOf(server);
    this.#token = env['LANDFALL_TOKEN'];
  }

  /** Returns the VM with this UUID, all VMs with this name, or all VMs. */
  async vms(vm: string | undefined, at?: number): Promise<VmStatus[]> {
    if (vm === undefined) return this.#all('/v1/vms', { at });
    try {
      return [await this.#get<VmStatus>(`/v1/vms/${encodeURIComponent(vm)}`, { at })];
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      if (error.code === 'UNKNOWN_VM') return [];
      if (error.code !== 'AMBIGUOUS') throw error;
      return (await this.vms(undefined, at)).filter(({ name }) => name === vm);
    }
  }

  async migrations(vm: string | undefined, at?: number): Promise<MigrationView[]> {
    return this.#all('/v1/migrations', { vm, at });
  }

  async history(vm: string, at?: number): Promise<TimelineItem[]> {
    return this.#all(`/v1/vms/${encodeURIComponent(vm)}/history`, { at });
  }

  async deadLetters(): Promise<DeadLetter[]> {
    return this.#all('/v1/dead-letters', {});
  }

  async explained(attempt: string): Promise<Explained> {
    const path = `/v1/migrations/${encodeURIComponent(attempt)}/entries`;
    const entries: StoredEntry[] = [];
    for (let after: string | undefined; ; ) {
      const page: ExplainedPage = await this.#get(path, { after, limit: PAGE });
      entries.push(...page.items.map(storedOf));
      // The attempt's state on the last page is the newest.
      const { state, timers, name, next } = page;
      if (next === null) return { state, timers, name, entries };
      after = next;
    }
  }

  /** Returns the position of the service's ledger, for every partition. */
  async position(): Promise<string> {
    const { headers } = await this.#ask('GET', '/v1/ledger', { limit: 1 });
    return headers.get('landfall-position') ?? '';
  }

  /** Returns a page of ledger entries from a position; the page can continue into the next partitions. */
  async entries(from: string): Promise<StoredEntry[]> {
    const { items } = await this.#get<Page<RemoteEntry>>('/v1/ledger', { from, limit: PAGE });
    return items.map(storedOf);
  }

  async configuration(): Promise<Configuration> {
    return this.#get('/v1/config', {});
  }

  async configure(change: unknown, operator: string | undefined): Promise<ChangedConfiguration> {
    return (await this.#ask<ChangedConfiguration>('PUT', '/v1/config', { operator }, change)).value;
  }

  async resolve(
    attempt: string,
    resolution: {
      host?: string;
      stopped?: true;
      command?: string;
      reason: string;
      attest: boolean;
      operator?: string | undefined;
    },
  ): Promise<MigrationView> {
    const path = `/v1/migrations/${encodeURIComponent(attempt)}/resolution`;
    return (await this.#ask<MigrationView>('POST', path, {}, resolution)).value;
  }

  /**
   * Sends events and returns one outcome per event. @throws Fault if no event was accepted or the outcome is unknown.
   */
  async events(batch: readonly unknown[]): Promise<EventOutcome[]> {
    try {
      return (await this.#ask<Page<EventOutcome>>('POST', '/v1/events', {}, batch)).value.items;
    } catch (error) {
      // If some events were refused, the error carries the outcomes of all events.
      if (error instanceof Fault && isPage(error.cause)) return error.cause.items;
      throw error;
    }
  }

  /** Returns true if a token identifies the operator; the service then takes the operator's name from the token. */
  get isNamed(): boolean {
    return this.#token !== undefined;
  }

  async #all<T>(path: string, query: Query): Promise<T[]> {
    const items: T[] = [];
    let after: string | undefined;
    do {
      const page: Page<T> = await this.#get(path, { ...query, after, limit: PAGE });
      items.push(...page.items);
      after = page.next ?? undefined;
    } while (after !== undefined);
    return items;
  }

  async #get<T>(path: string, query: Query): Promise<T> {
    return (await this.#ask<T>('GET', path, query)).value;
  }

  async #ask<T>(method: string, path: string, query: Query, body?: unknown): Promise<{ value: T; headers: Headers }> {
    const url = new URL(`.${path}`, this.#base);
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    const response = await this.#fetch(url, {
      method,
      headers: {
        ...(this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    return { value: (await this.#read(response)) as T, headers: response.headers };
  }

  async #fetch(url: URL, init: RequestInit): Promise<Response> {
    try {
      return await fetch(url, init);
    } catch (error) {
      const why = error instanceof Error && error.cause !== undefined ? messageOf(error.cause) : messageOf(error);
      throw new Fault(
        'SERVER_UNREACHABLE',
        `${this.#base.origin} does not answer: ${why}`,
        'Check that the service runs and that the URL is right; `landfall serve` prints its URL.',
        error,
      );
    }
  }

  async #read(response: Response): Promise<unknown> {
    const text = await response.text();
    const value = parsed(text);
    if (response.ok && value !== undefined) return value;
    if (isProblem(value)) throw new Fault(value.code, value.message, value.remedy, value);
    throw new Fault(
      'NOT_LANDFALL',
      `${this.#base.origin} is not a Landfall service (HTTP status ${response.status})`,
      'Check the URL.',
    );
  }
}

function baseOf(server: string): URL {
  const url = URL.canParse(server) ? new URL(server) : null;
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new Fault(
      'BAD_OPTION',
      `--server: ${JSON.stringify(server)} is not a URL`,
      'Write it like http://127.0.0.1:7070.',
    );
  }
  if (!url.pathname.endsWith('/')) url.pathname += '/';
  return url;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isProblem(value: unknown): value is Problem {
  if (typeof value !== 'object' || value === null) return false;
  return 'code' in value && typeof value.code === 'string' && 'message' in value && 'remedy' in value;
}

function isPage(value: unknown): value is { items: EventOutcome[] } {
  return typeof value === 'object' && value !== null && 'items' in value && Array.isArray(value.items);
}

function storedOf({ position, previous, hash, entry }: RemoteEntry): StoredEntry {
  const [partition = 0, sequence = 0] = position.split(':').map(Number);
  return { partition, sequence, previous, hash, text: JSON.stringify(entry), entry };
}
