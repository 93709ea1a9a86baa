import type { TLSSocket } from 'node:tls';
import type { FastifyRequest, RouteOptions } from 'fastify';
import { Fault } from '../../events/fault.ts';
import type { Input } from '../../events/inputs.ts';
import { requireForeign } from '../../events/own-source.ts';
import { ANYBODY, type Credentials, type Principal, type Role } from './credentials.ts';

/** Says who asks, and refuses what they may not do. */

/** What a route asks for: one of these roles, or nothing at all. */
type Needs = readonly Role[] | 'nothing';

/** A route that does not say what it asks for is a mistake, found at the start. */
export function requireNeeds({ url, config }: Pick<RouteOptions, 'url' | 'config'>): void {
  if (config?.needs === undefined) throw new TypeError(`the route ${url} does not say who may ask: config.needs`);
}

declare module 'fastify' {
  interface FastifyContextConfig {
    needs: Needs;
  }
  interface FastifyRequest {
    principal: Principal;
  }
}

/** `Host` names by which a browser on this machine may ask: any other is a page that was tricked into asking. */
const LOOPBACK_NAMES = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i;

export class Guard {
  #credentials: Credentials | null;

  constructor(credentials: Credentials | null) {
    this.#credentials = credentials;
  }

  /** Another file of credentials from now on. */
  replace(credentials: Credentials | null): void {
    this.#credentials = credentials;
  }

  /** @throws Fault UNAUTHENTICATED, FORBIDDEN, FOREIGN_HOST. */
  admit(request: FastifyRequest): Principal {
    // Where there is no route there is nothing to guard.
    if (request.is404) return ANYBODY;
    const { needs } = request.routeOptions.config as { needs?: Needs };
    // Who shows a valid token may be told more, also where nobody needs one.
    if (needs === 'nothing') return this.#shown(request) ?? ANYBODY;
    const principal = this.#principalOf(request);
    if (needs === undefined) throw new Fault('FORBIDDEN', 'nobody may do this', 'It has no rule for who may.');
    if (principal.name === null || needs.some((role) => has(principal, role))) return principal;
    throw new Fault('FORBIDDEN', `${principal.name} has not the right to do this`, `It needs ${needs.join(' or ')}.`);
  }

  #principalOf(request: FastifyRequest): Principal {
    if (this.#credentials === null) {
      if (LOOPBACK_NAMES.test(request.headers.host ?? '')) return ANYBODY;
      throw new Fault('FOREIGN_HOST', 'without tokens only this machine may ask, by its own name', 'Ask 127.0.0.1.');
    }
    const principal = this.#shown(request);
    if (principal !== null) return principal;
    throw new Fault(
      'UNAUTHENTICATED',
      'no valid token or client certificate came with the request',
      'Send `Authorization: Bearer TOKEN`; `landfall token` makes one.',
    );
  }

  #shown(request: FastifyRequest): Principal | null {
    return this.#byToken(request) ?? this.#byCertificate(request);
  }

  #byToken({ headers }: FastifyRequest): Principal | null {
    const token = /^Bearer ([\w.~+/-]{1,512}=*)$/i.exec(headers.authorization ?? '')?.[1];
    return token === undefined ? null : (this.#credentials?.ofToken(token) ?? null);
  }

  #byCertificate({ raw }: FastifyRequest): Principal | null {
    const socket = raw.socket as Partial<TLSSocket>;
    if (socket.authorized !== true) return null;
    const name: unknown = socket.getPeerCertificate?.().subject?.CN;
    return typeof name === 'string' ? (this.#credentials?.ofCertificate(name) ?? null) : null;
  }
}

/** Who operates may also look. */
function has(principal: Principal, role: Role): boolean {
  return principal.roles.has(role) || (role === 'read' && principal.roles.has('operate'));
}

/** What is recorded, by which an agent's word is judged. */
export type Recorded = {
  /** The host that a command was sent to; null: the orchestrator; undefined: no such command is known. */
  readonly hostOfCommand: (command: string) => string | null | undefined;
  /** Who holds the lease of a VM's volume, as it was reported last. */
  readonly holders: (vm: string, volume: string) => readonly string[];
};

/** @throws Fault FORBIDDEN where these may not report this. */
export function requireMayReport(principal: Principal, input: Input, recorded: Recorded): void {
  const { name } = principal;
  requireSource(principal, input.source);
  if (name === null) return;
  if (input.type === 'landfall.migration.resolved.v1' || input.type === 'landfall.configuration.set.v1') {
    if (!principal.roles.has('operate')) throw forbidden(name, input.type, 'operate');
    if (input.data.operator === name) return;
    throw new Fault('FORBIDDEN', `data.operator: ${name} cannot speak for somebody else`, `Name ${name} as operator.`);
  }
  if (principal.roles.has('ingest')) return;
  if (!principal.roles.has('agent')) throw forbidden(name, input.type, 'ingest or agent');
  for (const host of hostsOf(principal, input, recorded)) requireHost(principal, host);
}

/**
 * `source` and `id` name an event for good, so whoever may use another's source can take its names away. Landfall's own are
 * nobody's; who does not report for others may not use a source that speaks for another host, operator or token.
 * @throws Fault FORBIDDEN.
 */
function requireSource({ name, names, roles, hosts }: Principal, source: string): void {
  requireForeign(source);
  if (name === null || roles.has('ingest')) return;
  const [, scheme, speaker = '', bare = ''] = /^(?:(agent|operator):\/\/([^/]*)|([^/:#?]*))/.exec(source) ?? [];
  const isForeign =
    scheme === 'agent'
      ? !hosts.has(speaker)
      : scheme === 'operator'
        ? speaker !== name
        : bare !== name && names.has(bare);
  if (!isForeign) return;
  const remedy =
    'An agent is `agent://HOST` of its own hosts, an operator `operator://NAME`; no token uses the name of another.';
  throw new Fault('FORBIDDEN', `source: ${JSON.stringify(source.slice(0, 100))} is not one of ${name}`, remedy);
}

/** The hosts that an agent speaks for with this. @throws Fault FORBIDDEN where it is nothing that an agent reports. */
function hostsOf({ name }: Principal, input: Input, recorded: Recorded): readonly string[] {
  switch (input.type) {
    case 'landfall.host.answered.v1':
    case 'landfall.host.lifecycle.v1':
    case 'landfall.host.facts.v1':
    case 'landfall.volume.lease-expired.v1':
      return [input.data.host];
    case 'landfall.volume.holders.v1': {
      // Who is left out of the list is said to hold it no longer.
      const { volume, holders } = input.data;
      return [...holders.map(({ host }) => host), ...recorded.holders(input.vm, volume)];
    }
    case 'landfall.command.acknowledged.v1':
      return [hostOfCommand(name, recorded.hostOfCommand(input.data.command))];
    case 'landfall.vm.declared.v1':
    case 'landfall.vm.requested.v1':
    case 'landfall.migration.started.v1':
    case 'landfall.migration.returned.v1':
    case 'landfall.migration.resolved.v1':
    case 'landfall.operator.acted.v1':
    case 'landfall.host.fenced.v1':
    case 'landfall.configuration.set.v1':
      throw forbidden(name ?? '', input.type, 'ingest');
  }
}

function hostOfCommand(name: string | null, host: string | null | undefined): string {
  if (host !== null && host !== undefined) return host;
  const remedy = 'Acknowledge a command by the id it came with.';
  throw new Fault('FORBIDDEN', `${name} was sent no such command`, remedy);
}

/** @throws Fault FORBIDDEN where an agent speaks for a host that is not its own. */
export function requireHost({ name, hosts }: Principal, host: string): void {
  if (name === null || hosts.has(host)) return;
  throw new Fault(
    'FORBIDDEN',
    `${name} does not speak for ${host}`,
    `It speaks for ${[...hosts].join(', ') || 'no host'}.`,
  );
}

function forbidden(name: string, type: string, role: string): Fault {
  return new Fault('FORBIDDEN', `${name} may not report ${type}`, `It needs ${role}.`);
}
