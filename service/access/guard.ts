import type { TLSSocket } from 'node:tls';
import type { FastifyRequest, RouteOptions } from 'fastify';
import { Fault } from '../../events/fault.ts';
import type { Input } from '../../events/inputs.ts';
import { requireForeign } from '../../events/own-source.ts';
import { ANYBODY, type Credentials, type Principal, type Role } from './credentials.ts';

/** Authenticates the client of a request and checks that its roles allow the request. */

/** The roles that may use a route: one of them is enough. `nothing` means that the route is public. */
type Needs = readonly Role[] | 'nothing';

/** Fails the start when a route does not declare its roles. @throws TypeError. */
export function requireNeeds({ url, config }: Pick<RouteOptions, 'url' | 'config'>): void {
  if (config?.needs === undefined) throw new TypeError(`the route ${url} does not declare its roles: set config.needs`);
}

declare module 'fastify' {
  interface FastifyContextConfig {
    needs: Needs;
  }
  interface FastifyRequest {
    principal: Principal;
  }
}

/** The `Host` headers accepted without credentials. Another name means that a web page made the browser send the request (DNS rebinding). */
const LOOPBACK_NAMES = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i;

export class Guard {
  #credentials: Credentials | null;

  constructor(credentials: Credentials | null) {
    this.#credentials = credentials;
  }

  /** Replaces the credentials for all later requests. */
  replace(credentials: Credentials | null): void {
    this.#credentials = credentials;
  }

  /** @throws Fault UNAUTHENTICATED, FORBIDDEN, FOREIGN_HOST. */
  admit(request: FastifyRequest): Principal {
    // A request without a route gets the reply 404, which needs no role.
    if (request.is404) return ANYBODY;
    const { needs } = request.routeOptions.config as { needs?: Needs };
    // A public route can tell more to a client with a valid token.
    if (needs === 'nothing') return this.#shown(request) ?? ANYBODY;
    const principal = this.#principalOf(request);
    if (needs === undefined)
      throw new Fault('FORBIDDEN', 'this route declares no roles', 'Report this as an error of Landfall.');
    if (principal.name === null || needs.some((role) => has(principal, role))) return principal;
    throw new Fault(
      'FORBIDDEN',
      `${principal.name} is not allowed to do this`,
      `Use a token with the role ${needs.join(' or ')}.`,
    );
  }

  #principalOf(request: FastifyRequest): Principal {
    if (this.#credentials === null) {
      if (LOOPBACK_NAMES.test(request.headers.host ?? '')) return ANYBODY;
      throw new Fault(
        'FOREIGN_HOST',
        'a service without tokens accepts requests to a loopback address only',
        'Send the request to 127.0.0.1.',
      );
    }
    const principal = this.#shown(request);
    if (principal !== null) return principal;
    throw new Fault(
      'UNAUTHENTICATED',
      'the request has no valid token or client certificate',
      'Send `Authorization: Bearer TOKEN`; `landfall token` creates a token.',
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

/** Returns whether a client has a role. The role `operate` includes the role `read`. */
function has(principal: Principal, role: Role): boolean {
  return principal.roles.has(role) || (role === 'read' && principal.roles.has('operate'));
}

/** Recorded facts against which an agent's report is checked. */
export type Recorded = {
  /** The host a command was sent to; null for the orchestrator, undefined for an unknown command. */
  readonly hostOfCommand: (command: string) => string | null | undefined;
  /** The hosts that hold the lease of a VM's volume, by the latest report. */
  readonly holders: (vm: string, volume: string) => readonly string[];
};

/** @throws Fault FORBIDDEN when the client is not allowed to report this input. */
export function requireMayReport(principal: Principal, input: Input, recorded: Recorded): void {
  const { name } = principal;
  requireSource(principal, input.source);
  if (name === null) return;
  if (input.type === 'landfall.migration.resolved.v1' || input.type === 'landfall.configuration.set.v1') {
    if (!principal.roles.has('operate')) throw forbidden(name, input.type, 'operate');
    if (input.data.operator === name) return;
    throw new Fault(
      'FORBIDDEN',
      `data.operator: ${name} must not act under another name`,
      `Set data.operator to ${name}.`,
    );
  }
  if (principal.roles.has('ingest')) return;
  if (!principal.roles.has('agent')) throw forbidden(name, input.type, 'ingest or agent');
  for (const host of hostsOf(principal, input, recorded)) requireHost(principal, host);
}

/**
 * `source` and `id` identify an event forever, so a client that uses the source of another client could block its ids.
 * Landfall's own sources are closed to all clients. A client without the role `ingest` must not use the source of another
 * host, operator or token. @throws Fault FORBIDDEN.
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
    'Use `agent://HOST` for a host of the agent, `operator://NAME` for an operator, or a source without the name of another token.';
  throw new Fault('FORBIDDEN', `source: ${JSON.stringify(source.slice(0, 100))} is not a source of ${name}`, remedy);
}

/**
 * Returns the hosts that an agent reports for with this input. @throws Fault FORBIDDEN when agents do not report this
 * type.
 */
function hostsOf({ name }: Principal, input: Input, recorded: Recorded): readonly string[] {
  switch (input.type) {
    case 'landfall.host.answered.v1':
    case 'landfall.host.lifecycle.v1':
    case 'landfall.host.facts.v1':
    case 'landfall.volume.lease-expired.v1':
      return [input.data.host];
    case 'landfall.volume.holders.v1': {
      // The report also removes the holders that it does not list, so the agent must be allowed to report for them too.
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
  const remedy = 'Acknowledge a command with the id under which it was sent.';
  throw new Fault('FORBIDDEN', `no such command was sent to ${name}`, remedy);
}

/** @throws Fault FORBIDDEN when the client is not allowed to report for this host. */
export function requireHost({ name, hosts }: Principal, host: string): void {
  if (name === null || hosts.has(host)) return;
  throw new Fault(
    'FORBIDDEN',
    `${name} is not allowed to report for ${host}`,
    `Its credential names ${[...hosts].join(', ') || 'no host'}.`,
  );
}

function forbidden(name: string, type: string, role: string): Fault {
  return new Fault('FORBIDDEN', `${name} is not allowed to report ${type}`, `Use a token with the role ${role}.`);
}
